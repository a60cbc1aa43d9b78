// Three bells that slide by the slope of W1, of JS and of KL.
const { lanes, start, rate } = data.bells;
const bellsRoot = document.getElementById("bells");
const bellsPlayer = makePlayer(bellsRoot, lanes[0].mu.length, (i) => `step ${i}`);
const [LEFT, RIGHT] = [-3.5, start + 3.5]; // what a lane shows of the line

/** The value of a list between its entries. */
function between(values, place) {
  const i = Math.min(Math.floor(place + 1e-6), values.length - 1);
  const next = values[Math.min(i + 1, values.length - 1)];
  return values[i] + (place - i) * (next - values[i]);
}

function drawBell(ctx, width, height, mean, fill, dash) {
  const ground = height - 18;
  ctx.beginPath();
  ctx.moveTo(0, ground);
  for (let px = 0; px <= width; px += 2) {
    const z = LEFT + (px / width) * (RIGHT - LEFT) - mean;
    ctx.lineTo(px, ground - Math.exp((-z * z) / 2) * (ground - 12));
  }
  ctx.lineTo(width, ground);
  ctx.globalAlpha = 0.22;
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.setLineDash(dash);
  ctx.strokeStyle = fill;
  ctx.lineWidth = 1.8;
  ctx.stroke();
  ctx.setLineDash([]);
}

[...bellsRoot.getElementsByClassName("lane")].forEach((root, number) => {
  const lane = lanes[number];
  const [bell, curve, live] = ["bell", "curve", "live"].map((name) => byClass(root, name));
  const mu = () => between(lane.mu, bellsPlayer.between());
  explain(bell, (x, y, width) => `x = ${shown(LEFT + (x / width) * (RIGHT - LEFT))}`);
  bellsPlayer.show(surface(bell, (ctx, width, height) => {
    const ground = height - 18;
    const across = (x) => ((x - LEFT) / (RIGHT - LEFT)) * width;
    drawBell(ctx, width, height, 0, colours.real, []);
    drawBell(ctx, width, height, mu(), colours.fake, [7, 3]);
    ctx.fillStyle = colours.soft;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    for (let x = -2; x <= RIGHT; x += 2) ctx.fillText(shown(x), across(x), ground + 4);
    // The way of the next ten steps, if the slope stayed what it is.
    const slope = lane.slope[bellsPlayer.frame];
    const [from, to] = [across(mu()), across(mu() - 10 * rate * slope)];
    ctx.strokeStyle = ctx.fillStyle = colours.ink;
    ctx.lineWidth = 2;
    line(ctx, from, 9, to, 9);
    if (Math.abs(from - to) > 6) {
      const side = Math.sign(to - from);
      ctx.beginPath();
      ctx.moveTo(to, 9);
      ctx.lineTo(to - 6 * side, 5);
      ctx.lineTo(to - 6 * side, 13);
      ctx.fill();
    } else {
      ctx.beginPath();
      ctx.arc(from, 9, 2.5, 0, 7);
      ctx.fill();
    }
  }));
  const scale = scaleOf(lane.curve, false);
  const last = lane.curve.length - 1;
  explain(curve, (x, y, width) => {
    const part = Math.max(0, Math.min(1, (x - PAD.left) / (width - PAD.left - PAD.right)));
    return `${shown(part * start)} apart\n${lane.name} ${shown(between(lane.curve, part * last))}`;
  });
  bellsPlayer.show(surface(curve, (ctx, width, height) => {
    const up = (value) => height - PAD.bottom - scale.place(value) * (height - PAD.bottom - 14);
    const across = (part) => PAD.left + part * (width - PAD.left - PAD.right);
    ctx.fillStyle = colours.soft;
    ctx.strokeStyle = colours.rule;
    ctx.lineWidth = 1;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const tick of scale.ticks) {
      line(ctx, PAD.left, up(tick), width - PAD.right, up(tick));
      ctx.fillText(shown(tick), PAD.left - 5, up(tick));
    }
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    for (const x of [0, 2, 4, 6]) ctx.fillText(shown(x), across(x / start), height - PAD.bottom + 5);
    ctx.strokeStyle = colours.hill;
    ctx.lineWidth = 2;
    ctx.beginPath();
    lane.curve.forEach((value, i) => ctx[i ? "lineTo" : "moveTo"](across(i / last), up(value)));
    ctx.stroke();
    const part = Math.min(1, Math.abs(mu()) / start);
    ctx.fillStyle = colours.fake;
    ctx.beginPath();
    ctx.arc(across(part), up(between(lane.curve, part * last)), 5, 0, 7);
    ctx.fill();
  }));
  bellsPlayer.show(() => {
    const at = (name) => shown(lane[name][bellsPlayer.frame]);
    live.textContent = `bell at ${at("mu")} · ${lane.name} ${at("value")} · slope ${at("slope")}`;
  });
});
