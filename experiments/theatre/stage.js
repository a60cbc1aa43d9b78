// What all stages share: data, colours, canvases, tips, a chart, and the player.
const byClass = (root, name) => root.getElementsByClassName(name)[0];
const data = JSON.parse(document.getElementById("data").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const FRAMES_A_SECOND = 8;

// --- numbers

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const words = (text) => new Uint16Array(bytes(text).buffer); // little-endian, as every browser's
const signed = (text) => new Int8Array(bytes(text).buffer);
const NOTHING = 65535; // see packing.py

/** A number of three digits, in words where there is none. */
function shown(value) {
  if (value === null || value === undefined) return "none";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 10000)) {
    const [digits, power] = value.toExponential(1).split("e");
    const ten = `10${[..."" + Number(power)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`;
    if (digits === "1.0") return ten;
    return `${digits.replace(".0", "").replace("-", "−")}·${ten}`;
  }
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// --- colours

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["bg", "ink", "soft", "rule", "pale", "real", "fake", "hill", "second",
    "floor", "c0", "c1", "c2", "c3"])
    colours[name] = style.getPropertyValue("--" + name).trim();
}
readColours();

// --- canvases

/** A canvas with its context in CSS pixels; `draw(ctx, width, height)` whenever it is asked for. */
function surface(canvas, draw) {
  const redraw = () => {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const ctx = canvas.getContext("2d");
    ctx.setTransform(w / width, 0, 0, h / height, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.font = "11px system-ui, sans-serif";
    draw(ctx, width, height);
  };
  new ResizeObserver(redraw).observe(canvas);
  return redraw;
}

// --- tips

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);

/** Shows `say(x, y, width, height)`, a text or null, beside the pointer over a canvas. */
function explain(canvas, say) {
  const show = (event) => {
    const box = canvas.getBoundingClientRect();
    const text = say(event.clientX - box.left, event.clientY - box.top, box.width, box.height);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 6);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(left, 6) + scrollX}px`;
    tip.style.top = `${(above < 6 ? event.clientY + 18 : above) + scrollY}px`;
  };
  canvas.addEventListener("pointermove", show);
  canvas.addEventListener("pointerdown", show);
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
}

// --- charts

const PAD = { left: 40, right: 8, top: 8, bottom: 18 };

/** Ticks of a linear axis: three to six round numbers. */
function ticksOf(low, high) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

/** How a chart places values: on a logarithmic scale, or on a linear one that begins at 0. */
function scaleOf(values, log) {
  const known = values.filter((v) => v !== null && v !== undefined && (!log || v > 0));
  if (!log) {
    const [low, high] = [Math.min(0, ...known), Math.max(...known, 0)];
    const span = high - low || 1;
    return { ticks: ticksOf(low, high), place: (v) => (v - low) / span };
  }
  // Seven powers of ten at most: a curve far below them lies on the lower edge.
  const high = Math.log10(Math.max(...known, 1e-9) * 1.15);
  const low = Math.max(Math.min(Math.log10(Math.min(...known, 10 ** high) / 1.15), high - 0.5), high - 7);
  const [first, last] = [Math.floor(low), Math.ceil(high)];
  const ticks = [];
  for (let power = first; power <= last; power += high - low > 4 ? 2 : 1)
    for (const times of high - low < 2 ? [1, 2, 5] : [1])
      if (Math.abs((Math.log10(times * 10 ** power) - low) / (high - low) - 0.5) <= 0.5) ticks.push(times * 10 ** power);
  return { ticks, place: (v) => (Math.log10(Math.max(v, 10 ** low)) - low) / (high - low) };
}

/**
 * A chart of curves over frames, with a line at the present one.
 *
 * series: [{name, values, colour, dash, width, own}]; `own` curves have a linear scale of their
 * own, which is written at the right. marks: [[frame, label]]. player: for the line and to go there.
 */
function chart(canvas, { series, marks, log, floor, player, title }) {
  const count = series[0].values.length;
  const own = series.filter((s) => s.own);
  const main = series.filter((s) => !s.own);
  const scale = scaleOf([...main.flatMap((s) => s.values), ...(floor ? [floor] : [])], log);
  const other = own.length ? scaleOf(own.flatMap((s) => s.values), false) : null;
  const right = other ? 36 : PAD.right;
  const across = (i, width) => PAD.left + (i / (count - 1)) * (width - PAD.left - right);
  const draw = (ctx, width, height) => {
    const up = (place) => height - PAD.bottom - place * (height - PAD.bottom - PAD.top);
    ctx.fillStyle = colours.soft;
    ctx.strokeStyle = colours.rule;
    ctx.lineWidth = 1;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const tick of scale.ticks) {
      const y = up(scale.place(tick));
      line(ctx, PAD.left, y, width - right, y);
      ctx.fillText(shown(tick), PAD.left - 5, y);
    }
    ctx.textAlign = "left";
    if (other) for (const tick of other.ticks) ctx.fillText(shown(tick), width - right + 5, up(other.place(tick)));
    ctx.textBaseline = "top";
    for (const [at, label] of marks) {
      ctx.textAlign = at === 0 ? "left" : at === count - 1 ? "right" : "center";
      ctx.fillText(label, across(at, width), height - PAD.bottom + 5);
    }
    if (floor) {
      ctx.strokeStyle = colours.floor;
      ctx.setLineDash([1, 3]);
      line(ctx, PAD.left, up(scale.place(floor)), width - right, up(scale.place(floor)));
    }
    for (const curve of series) {
      const place = (curve.own ? other : scale).place;
      ctx.strokeStyle = curve.colour();
      ctx.lineWidth = curve.width ?? 1.8;
      ctx.setLineDash(curve.dash ?? []);
      ctx.beginPath();
      let on = false;
      curve.values.forEach((value, i) => {
        const gap = value === null || (log && !curve.own && value <= 0);
        if (!gap) ctx[on ? "lineTo" : "moveTo"](across(i, width), up(place(value)));
        on = !gap;
      });
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.strokeStyle = colours.ink;
    ctx.lineWidth = 1;
    const x = across(player.frame, width);
    line(ctx, x, PAD.top - 4, x, height - PAD.bottom);
  };
  const frameAt = (x, width) =>
    Math.max(0, Math.min(count - 1, Math.round(((x - PAD.left) / (width - PAD.left - right)) * (count - 1))));
  explain(canvas, (x, y, width) => {
    const i = frameAt(x, width);
    return [title(i), ...series.map((s) => `${s.name} ${shown(s.values[i])}`)].join("\n");
  });
  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    player.go(frameAt(event.clientX - box.left, box.width));
  });
  return surface(canvas, draw);
}

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

// --- the player

const players = [];

/** Plays `count` frames: `draw(place)` with a place between frames, `label(frame)` for the bar. */
function makePlayer(root, count, label) {
  const [button, scrub, now] = ["play", "scrub", "now"].map((name) => byClass(root, name));
  const speed = root.querySelector("select");
  const drawings = [];
  const player = { root, frame: 0, place: 0, playing: false };
  let last = 0;
  const refresh = () => {
    player.frame = Math.floor(player.place + 1e-6);
    scrub.value = player.frame;
    scrub.setAttribute("aria-valuetext", label(player.frame));
    now.textContent = label(player.frame);
    for (const draw of drawings) draw();
  };
  const tick = (time) => {
    if (!player.playing) return;
    // A tab that was away for a while goes on where it was.
    const passed = Math.min(time - last, 200) / 1000;
    last = time;
    const before = player.place;
    player.place = Math.min(count - 1, player.place + passed * FRAMES_A_SECOND * Number(speed.value));
    const whole = Math.floor(before + 1e-6) !== Math.floor(player.place + 1e-6);
    // Whoever asks for less motion sees frame after frame, and nothing glide between them.
    if (!calm.matches || whole) refresh();
    if (player.place >= count - 1) player.pause();
    else requestAnimationFrame(tick);
  };
  player.go = (frame) => {
    player.pause();
    player.place = Math.max(0, Math.min(count - 1, frame));
    refresh();
  };
  player.play = () => {
    if (player.place >= count - 1) player.place = 0;
    player.playing = true;
    button.textContent = "Pause";
    requestAnimationFrame((time) => ((last = time), tick(time)));
  };
  player.pause = () => {
    player.playing = false;
    button.textContent = "Play";
  };
  player.toggle = () => (player.playing ? player.pause() : player.play());
  player.faster = (by) => {
    speed.selectedIndex = Math.max(0, Math.min(speed.length - 1, speed.selectedIndex + by));
  };
  player.between = () => (calm.matches ? player.frame : player.place);
  player.show = (draw) => drawings.push(draw);
  player.refresh = refresh;
  player.end = () => player.go(count - 1);
  button.addEventListener("click", player.toggle);
  scrub.addEventListener("input", () => player.go(Number(scrub.value)));
  players.push(player);
  return player;
}

/** The stage that takes up most of the window. */
function inView() {
  const seen = (player) => {
    const box = player.root.getBoundingClientRect();
    return Math.min(box.bottom, innerHeight) - Math.max(box.top, 0);
  };
  return players.reduce((best, player) => (seen(player) > seen(best) ? player : best));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Controls keep their own keys: a select its arrows, a button its space, a slider its arrows.
  const kind = event.target.tagName;
  if (kind === "SELECT" || kind === "SUMMARY") return;
  if (kind === "BUTTON" && event.key === " ") return;
  if (kind === "INPUT" && event.key !== " " && event.key !== "+" && event.key !== "-") return;
  const player = kind === "INPUT" ? players.find((p) => p.root.contains(event.target)) : inView();
  const keys = {
    " ": player.toggle,
    ArrowLeft: () => player.go(player.frame - 1),
    ArrowRight: () => player.go(player.frame + 1),
    Home: () => player.go(0),
    End: player.end,
    "+": () => player.faster(1),
    "-": () => player.faster(-1),
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  for (const player of players) player.refresh();
});
