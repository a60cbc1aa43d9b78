// A transport plan that improves: lines between points, the matrix, the cost.
const plan = data.plan;
const planRoot = document.getElementById("plan");
const planPlayer = makePlayer(planRoot, plan.targets.length, (i) => `exchange ${i}`);
const size = plan.fake.length;
const longestWay = Math.max(...plan.distances.flat());

// Rows and columns in the order of the last plan: the best plan is then the diagonal.
const columns = plan.targets.at(-1);
const columnOf = new Map(columns.map((target, i) => [target, i]));

const moves = byClass(planRoot, "moves");
const matrix = byClass(planRoot, "matrix");

function placeOf(side) {
  return ([x, y]) => [((x / plan.half + 1) / 2) * side, ((1 - y / plan.half) / 2) * side];
}

planPlayer.show(surface(moves, (ctx, side) => {
  const frame = planPlayer.frame;
  const place = placeOf(side);
  const targets = plan.targets[frame];
  const changed = new Set(plan.changed[frame]);
  for (let i = 0; i < size; i++) {
    ctx.strokeStyle = changed.has(i) ? colours.fake : colours.hill;
    ctx.lineWidth = changed.has(i) ? 2.8 : 1.2;
    line(ctx, ...place(plan.fake[i]), ...place(plan.real[targets[i]]));
  }
  plan.real.forEach((point) => {
    const [x, y] = place(point);
    ctx.fillStyle = colours.real;
    ctx.fillRect(x - 4, y - 4, 8, 8);
  });
  plan.fake.forEach((point) => {
    ctx.fillStyle = colours.fake;
    ctx.beginPath();
    ctx.arc(...place(point), 4, 0, 7);
    ctx.fill();
  });
}));

explain(moves, (x, y, side) => {
  const place = placeOf(side);
  const far = (i) => Math.hypot(place(plan.fake[i])[0] - x, place(plan.fake[i])[1] - y);
  let best = 0;
  for (let i = 1; i < size; i++) if (far(i) < far(best)) best = i;
  if (far(best) > 16) return null;
  const target = plan.targets[planPlayer.frame][best];
  return `point ${best + 1} goes to ${columnOf.get(target) + 1}\n${shown(plan.distances[best][target])} away`;
});

planPlayer.show(surface(matrix, (ctx, side) => {
  const frame = planPlayer.frame;
  const changed = new Set(plan.changed[frame]);
  const cell = side / size;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      ctx.globalAlpha = 0.4 * (plan.distances[i][columns[j]] / longestWay);
      ctx.fillStyle = colours.ink;
      ctx.fillRect(j * cell, i * cell, cell - 0.5, cell - 0.5);
    }
  ctx.globalAlpha = 1;
  for (let i = 0; i < size; i++) {
    const j = columnOf.get(plan.targets[frame][i]);
    ctx.fillStyle = changed.has(i) ? colours.fake : colours.hill;
    ctx.beginPath();
    ctx.arc((j + 0.5) * cell, (i + 0.5) * cell, cell * 0.36, 0, 7);
    ctx.fill();
  }
}));

explain(matrix, (x, y, side) => {
  const [j, i] = [x, y].map((v) => Math.floor((v / side) * size));
  if (!(i >= 0 && i < size && j >= 0 && j < size)) return null;
  const moved = plan.targets[planPlayer.frame][i] === columns[j];
  const way = shown(plan.distances[i][columns[j]]);
  return `from ${i + 1} to ${j + 1}: ${way} away\n${moved ? `1/${size} of the mass` : "nothing"} is moved`;
});

planPlayer.show(chart(byClass(planRoot, "cost"), {
  series: [{ name: "cost", values: plan.costs, ...colour("hill"), width: 2.2 }],
  marks: [[0, "exchange 0"], [plan.costs.length - 1, String(plan.costs.length - 1)]],
  log: false,
  floor: plan.w1,
  player: planPlayer,
  title: (i) => `exchange ${i}`,
}));

planPlayer.show(() => {
  const frame = planPlayer.frame;
  const by = plan.changed[frame].length;
  const what = frame === 0 ? "a plan at random" : `${by} points exchanged their targets`;
  byClass(planRoot, "live").textContent =
    `cost ${shown(plan.costs[frame])} · ${what}` +
    (frame === plan.costs.length - 1 ? ` · no exchange is left: this is W1, ${shown(plan.w1)}` : "");
});

for (const player of players) player.refresh();
// The first stage begins by itself, unless its reader asks for less motion.
if (!calm.matches) familyPlayer.play();
