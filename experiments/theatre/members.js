// Members side by side: samples, the critic's landscape, the estimate, weights, BEGAN's balance.
const { sides, steps, half } = data;
const GRID = sides.grid;
const LEVELS = 10;
// Told apart by colour and by dash: eight of each before a pair comes again.
const DASHES = [[], [7, 3], [2, 2], [10, 3, 2, 3], [4, 4], [12, 4], [1, 3], [6, 2, 1, 2, 1, 2]];
const STROKES = ["c0", "c1", "c2", "c3", "ink", "soft", "second", "fake"];

const real = words(data.real);
const family = document.getElementById("family");
const familyPlayer = makePlayer(family, steps.length, (i) => `step ${steps[i]}`);
const stepMarks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
  const at = Math.round(part * (steps.length - 1));
  return [at, at === 0 ? "step 0" : String(steps[at])];
});

/** [0, 1] of a packed coordinate, NaN of none. */
const unit = (value) => (value === NOTHING ? NaN : value / (NOTHING - 1));
const onEdge = (u) => u === 0 || u === 1;

function unpack(member) {
  return {
    ...member,
    samples: words(member.samples),
    heights: bytes(member.heights),
    arrows: signed(member.arrows),
    bins: words(member.bins),
    lines: new Map(),
    shade: new Map(),
  };
}

/** Level lines of a frame as one path per level, in units of grid cells (marching squares). */
function levelLines(member, frame) {
  if (member.lines.has(frame)) return member.lines.get(frame);
  const heights = member.heights.subarray(frame * GRID * GRID, (frame + 1) * GRID * GRID);
  const paths = [];
  for (let k = 0; k < LEVELS; k++) {
    const level = ((k + 0.5) / LEVELS) * 255;
    const path = new Path2D();
    for (let row = 0; row < GRID - 1; row++) {
      for (let column = 0; column < GRID - 1; column++) {
        // Corners against the clock, from below left; an edge i lies between corners i and i + 1.
        const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([c, r]) => [
          column + c, row + r, heights[(row + r) * GRID + column + c] - level]);
        const crossed = [];
        for (let i = 0; i < 4; i++) {
          const [x0, y0, a] = corners[i];
          const [x1, y1, b] = corners[(i + 1) % 4];
          if (a > 0 !== b > 0) {
            const t = a / (a - b);
            crossed.push([x0 + t * (x1 - x0), y0 + t * (y1 - y0)]);
          }
        }
        // Four crossings are a saddle: its middle decides which of them belong together.
        const middle = corners.reduce((sum, corner) => sum + corner[2], 0) > 0;
        const turn = crossed.length === 4 && middle === corners[0][2] > 0 ? 1 : 0;
        for (let i = 0; i + 1 < crossed.length; i += 2) {
          const [from, to] = [crossed[(i + turn) % crossed.length], crossed[(i + turn + 1) % crossed.length]];
          path.moveTo(...from);
          path.lineTo(...to);
        }
      }
    }
    paths.push(path);
  }
  member.lines.set(frame, paths);
  return paths;
}

/** The heights of a frame as a small picture, to be stretched; its alpha is the height. */
function shadeOf(member, frame) {
  const key = `${frame} ${colours.hill}`;
  if (member.shade.has(key)) return member.shade.get(key);
  const picture = document.createElement("canvas");
  picture.width = picture.height = GRID;
  const ctx = picture.getContext("2d");
  const image = ctx.createImageData(GRID, GRID);
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colours.hill.slice(i, i + 2), 16));
  for (let row = 0; row < GRID; row++)
    for (let column = 0; column < GRID; column++) {
      const height = member.heights[(frame * GRID + row) * GRID + column];
      const at = 4 * ((GRID - 1 - row) * GRID + column);
      image.data.set([r, g, b, (height / 255) * 95], at);
    }
  ctx.putImageData(image, 0, 0);
  member.shade.set(key, picture);
  return picture;
}

function drawArrows(ctx, member, frame, side) {
  const count = sides.arrows;
  const gap = side / (count - 1);
  ctx.strokeStyle = colours.ink;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let row = 0; row < count; row++)
    for (let column = 0; column < count; column++) {
      const at = 2 * ((frame * count + row) * count + column);
      const [dx, dy] = [member.arrows[at] / 127, -member.arrows[at + 1] / 127];
      const size = Math.hypot(dx, dy);
      const [x, y] = [column * gap, side - row * gap];
      // What is too short for a head is a dot: flat ground, seen as such.
      if (size < 0.04) {
        ctx.rect(x - 0.5, y - 0.5, 1, 1);
        continue;
      }
      const [ex, ey] = [x + dx * gap * 0.85, y + dy * gap * 0.85];
      ctx.moveTo(x, y);
      ctx.lineTo(ex, ey);
      const head = Math.min(4, size * gap * 0.4);
      for (const turn of [2.6, -2.6]) {
        const angle = Math.atan2(dy, dx) + turn;
        ctx.moveTo(ex, ey);
        ctx.lineTo(ex + head * Math.cos(angle), ey + head * Math.sin(angle));
      }
    }
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function drawPoints(ctx, member, place, side) {
  ctx.fillStyle = colours.real;
  for (let i = 0; i < sides.points; i++) {
    const [x, y] = [unit(real[2 * i]) * side, side - unit(real[2 * i + 1]) * side];
    ctx.fillRect(x - 1.75, y - 1.75, 3.5, 3.5);
  }
  ctx.fillStyle = ctx.strokeStyle = colours.fake;
  ctx.lineWidth = 1.2;
  const frame = Math.floor(place + 1e-6);
  const next = Math.min(frame + 1, steps.length - 1);
  const part = place - frame;
  const at = (f, i) => unit(member.samples[2 * sides.points * f + i]);
  for (let i = 0; i < sides.points; i++) {
    const [u, v] = [2 * i, 2 * i + 1].map((j) => (1 - part) * at(frame, j) + part * at(next, j));
    if (Number.isNaN(u + v)) continue;
    ctx.beginPath();
    ctx.arc(u * side, side - v * side, onEdge(u) || onEdge(v) ? 3.5 : 2, 0, 7);
    if (onEdge(u) || onEdge(v)) ctx.stroke();
    else ctx.fill();
  }
}

/** Height and slope under a point of the frame, by bilinear interpolation. */
function under(member, frame, u, v) {
  const [x, y] = [u, v].map((w) => Math.max(0, Math.min(GRID - 1.001, w * (GRID - 1))));
  const [c, r] = [Math.floor(x), Math.floor(y)];
  const span = (member.high[frame] - member.low[frame]) / 255;
  const at = (row, column) => member.low[frame] + span * member.heights[(frame * GRID + row) * GRID + column];
  const [fx, fy] = [x - c, y - r];
  const low = (1 - fx) * at(r, c) + fx * at(r, c + 1);
  const high = (1 - fx) * at(r + 1, c) + fx * at(r + 1, c + 1);
  const count = sides.arrows;
  const [row, column] = [v, u].map((w) => Math.round(w * (count - 1)));
  const arrow = 2 * ((frame * count + row) * count + column);
  const scale = member.longest[frame] / 127;
  const slope = scale * Math.hypot(member.arrows[arrow], member.arrows[arrow + 1]);
  return [(1 - fy) * low + fy * high, slope];
}

function fieldOf(card, member) {
  const canvas = byClass(card, "field");
  explain(canvas, (x, y, width, height) => {
    const [u, v] = [x / width, 1 - y / height].map((w) => Math.max(0, Math.min(1, w)));
    const [score, slope] = under(member, familyPlayer.frame, u, v);
    const where = [u, v].map((w) => shown((2 * w - 1) * half)).join(", ");
    return `at (${where})\nscore ${shown(score)}\nslope about ${shown(slope)}`;
  });
  return surface(canvas, (ctx, side) => {
    const frame = familyPlayer.frame;
    ctx.imageSmoothingEnabled = true;
    // Grid points lie on the frame's edge, pixels' middles half a pixel inside of theirs.
    const cell = side / (GRID - 1);
    ctx.drawImage(shadeOf(member, frame), -cell / 2, -cell / 2, side + cell, side + cell);
    ctx.save();
    ctx.translate(0, side);
    ctx.scale(cell, -cell);
    ctx.strokeStyle = colours.hill;
    levelLines(member, frame).forEach((path, k) => {
      ctx.globalAlpha = 0.3 + (0.6 * k) / LEVELS;
      ctx.lineWidth = 1.1 / cell;
      ctx.stroke(path);
    });
    ctx.restore();
    drawArrows(ctx, member, frame, side);
    drawPoints(ctx, member, familyPlayer.between(), side);
  });
}

function weightsOf(card, member) {
  const canvas = byClass(card, "weights");
  const count = sides.bins;
  const most = Math.max(...member.bins);
  const share = (frame, bin) => member.bins[frame * count + bin] / 65535;
  const middle = (bin) => ((2 * bin + 1) / count - 1) * member.edge;
  explain(canvas, (x, y, width) => {
    const bin = Math.floor((x / width) * count);
    if (bin < 0 || bin >= count) return null;
    return `weights near ${shown(middle(bin))}\n${shown(100 * share(familyPlayer.frame, bin))} %`;
  });
  return surface(canvas, (ctx, width, height) => {
    const ground = height - 16;
    ctx.fillStyle = colours.hill;
    for (let bin = 0; bin < count; bin++) {
      const tall = (share(familyPlayer.frame, bin) / (most / 65535)) * (ground - 4);
      ctx.fillRect((bin * width) / count + 0.5, ground - tall, width / count - 1, tall);
    }
    ctx.fillStyle = colours.soft;
    ctx.textBaseline = "top";
    [[-member.edge, 0, "left"], [0, 0.5, "center"], [member.edge, 1, "right"]].forEach(([value, at, align]) => {
      ctx.textAlign = align;
      ctx.fillText(shown(value), at * width, ground + 4);
    });
  });
}

function tellCard(card, member) {
  const live = byClass(card, "live");
  const field = byClass(card, "field");
  const names = ["W1", "estimate", "slope", "steepest"];
  if (data.modes) names.push("modes");
  names.push("outside");
  if ("k" in member.numbers) names.push("k, M");
  // Each number has a place of its own: text of changing length would move all that is below.
  const places = names.map((name) => {
    const place = document.createElement("b");
    live.append(name, place);
    return place;
  });
  return () => {
    const at = (name) => (member.numbers[name] ?? [])[familyPlayer.frame] ?? null;
    const texts = {
      W1: () => shown(at("w1")),
      estimate: () => shown(at("estimate")),
      slope: () => shown(at("slope")),
      steepest: () => shown(at("steepest")),
      modes: () => `${shown(at("modes"))} of ${data.modes}`,
      outside: () => shown(at("outside")),
      "k, M": () => `${shown(at("k"))}, ${shown(at("convergence"))}`,
    };
    const values = names.map((name) => texts[name]());
    places.forEach((place, i) => (place.textContent = values[i]));
    const said = names.map((name, i) => `${name} ${values[i]}`).join("; ");
    if (!familyPlayer.playing)
      field.setAttribute("aria-label", `${member.name}, step ${steps[familyPlayer.frame]}: ${said}`);
  };
}

/** A line of a legend: a stroke, with its dashes, and its name. */
function keyEntry(curve) {
  const entry = document.createElement("span");
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const [picture, stroke] = [make("svg"), make("path")];
  picture.setAttribute("viewBox", "0 0 30 4");
  picture.setAttribute("aria-hidden", "true");
  stroke.setAttribute("d", "M0 2H30");
  stroke.setAttribute("stroke-dasharray", (curve.dash ?? []).join(" "));
  stroke.style.stroke = curve.variable;
  picture.append(stroke);
  entry.append(picture, curve.name);
  return entry;
}

const colour = (name) => ({ colour: () => colours[name], variable: `var(--${name})` });
const titleOf = (i) => `step ${steps[i]}`;
const all = data.members.map(unpack);

all.forEach((member) => {
  const card = family.querySelector(`[data-member="${member.name}"]`);
  const curves = [
    { name: "exact W1", values: member.numbers.w1, ...colour("ink"), width: 2.2 },
    { name: "estimate", values: member.numbers.estimate, dash: [6, 3], ...colour("c1") },
    { name: "÷ steepest", values: member.numbers.bound, dash: [2, 2], ...colour("c0") },
  ];
  byClass(card, "lines").append(...curves.map(keyEntry));
  const shared = { marks: stepMarks.filter((_, i) => i % 2 === 0), player: familyPlayer, title: titleOf };
  familyPlayer.show(fieldOf(card, member));
  familyPlayer.show(chart(byClass(card, "estimate"), { ...shared, series: curves, log: true, floor: data.floor }));
  familyPlayer.show(weightsOf(card, member));
  familyPlayer.show(tellCard(card, member));
  if ("k" in member.numbers) {
    const balance = [
      { name: "k", values: member.numbers.k, ...colour("c3") },
      { name: "M", values: member.numbers.convergence, dash: [6, 3], own: true, ...colour("c2") },
    ];
    familyPlayer.show(chart(byClass(card, "balance"), { ...shared, series: balance, log: false }));
  }
});

const together = all.map((member, i) => ({
  name: member.name,
  values: member.numbers.w1,
  dash: DASHES[i % DASHES.length],
  ...colour(STROKES[i % STROKES.length]),
}));
byClass(family, "key").append(...together.map(keyEntry));
familyPlayer.show(chart(byClass(family, "overview"), {
  series: together, marks: stepMarks, log: true, floor: data.floor, player: familyPlayer, title: titleOf }));
