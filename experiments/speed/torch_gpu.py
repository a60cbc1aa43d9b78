"""PyTorch's side of the ten minutes on a GPU: a step of a case, eager, in a CUDA graph, compiled.

    python torch_gpu.py PEER.py resnet --way graph --seconds 2

It runs in PyTorch's own Python, without JAX. PEER.py is the program that `experiments.speed --peer`
asks on a CPU: it defines the networks (`mlp`, `DCGANGenerator`, `ResNetCritic`, ...) and the update
`wgan_gp_iteration(G, D, og, od, source, latent, batch, weight)`. Prints one line of JSON.

All ways have TF32, cudnn.benchmark, channels_last and fused Adam. bfloat16 is autocast around the
whole step, penalty included, which is more than ours does. eager: the peer's step as it is. graph:
that step, critic updates and all, captured once in a CUDA graph. compile: torch.compile, with the
critic's gradient by torch.func, since it refuses to differentiate autograd.grad twice; it is timed
only if its gradient is the eager one.
"""

import argparse
import functools
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

N_CRITIC = 5
Iteration = Callable[[], Any]


# --- networks -------------------------------------------------------------------------------------


class Decoder(nn.Module):
    """BEGAN's decoder and generator for 128 pixels: two 3x3 convolutions at each of five scales."""

    def __init__(self, channels: int, n: int, h: int, scales: int = 5) -> None:
        super().__init__()
        self.n, self.fc, self.scales = n, nn.Linear(h, 64 * n), scales
        self.convs = nn.ModuleList(nn.Conv2d(n, n, 3, 1, 1) for _ in range(2 * scales))
        self.out = nn.Conv2d(n, channels, 3, 1, 1)

    def forward(self, h: Any) -> Any:
        x = self.fc(h).view(-1, self.n, 8, 8)
        for i, conv in enumerate(self.convs):
            x = F.elu(conv(x))
            if i % 2 and i + 1 < len(self.convs):
                x = F.interpolate(x, scale_factor=2)
        return self.out(x)


class Energy(nn.Module):
    """BEGAN's critic: the mean absolute error of an auto-encoder, n channels more at each scale."""

    def __init__(self, channels: int, n: int, h: int, scales: int = 5) -> None:
        super().__init__()
        layers = []
        for i in range(scales):
            before = n * i or channels
            layers += [nn.Conv2d(before, n * (i + 1), 3, 2 if i else 1, 1), nn.ELU()]
            layers += [nn.Conv2d(n * (i + 1), n * (i + 1), 3, 1, 1), nn.ELU()]
        layers += [nn.Conv2d(n * scales, n * scales, 3, 1, 1), nn.ELU()]
        self.encoder = nn.Sequential(*layers)
        self.fc = nn.Linear(64 * n * scales, h)
        self.decoder = Decoder(channels, n, h, scales)

    def forward(self, x: Any) -> Any:
        code = self.fc(self.encoder(x).flatten(1))
        return (x - self.decoder(code)).abs().mean((1, 2, 3))


class Scores(nn.Module):
    """A critic whose scores [B, 1] are made [B]."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x).squeeze(1)


class Case:
    """A case's networks, data and optimizers on the default device.

    Args:
      peer: the module with the networks.
      name: tiny_mlp, dcgan32, resnet or began128.
      batch_size: None for the case's own.
      dry: networks of a few channels.
    """

    def __init__(self, peer: Any, name: str, batch_size: int | None, dry: bool) -> None:
        torch.manual_seed(0)
        n = 4 if dry else 128
        make = {
            "tiny_mlp": lambda: (peer.mlp(2, 2, 32), Scores(peer.mlp(2, 1, 32)), None, 64, 2),
            "dcgan32": lambda: (
                peer.DCGANGenerator(*[4] * dry), peer.DCGANCritic(*[4] * dry), (1, 32), 64, 128
            ),
            "resnet": lambda: (
                peer.ResNetGenerator(*[4] * dry), peer.ResNetCritic(*[4] * dry), (3, 32), 64, 128
            ),
            "began128": lambda: (
                Decoder(3, n, 64), Energy(3, n, 64), (3, 128), 16, 64
            ),
        }[name]  # fmt: skip
        self.generator, self.critic, shape, batch, latent = make()
        self.batch, self.latent = batch_size or (4 if dry else batch), (latent,)
        self.weight = 0.1 if shape is None else 10.0
        if shape is None:
            self.source = peer.eight_gaussians
        else:
            self.generator.to(memory_format=torch.channels_last)
            self.critic.to(memory_format=torch.channels_last)
            channels, side = shape
            images = torch.rand(16 if dry else 2048, channels, side, side) * 2 - 1
            images = images.contiguous(memory_format=torch.channels_last)
            self.source = lambda num: images[torch.randint(0, len(images), (num,))].contiguous(
                memory_format=torch.channels_last
            )
        # A dry run traces as the real one does, and leaves out the C++ compiler.
        self.compile = functools.partial(torch.compile, backend="aot_eager" if dry else "inductor")
        on_gpu = torch.get_default_device().type == "cuda"
        self.generator_tx, self.critic_tx = (
            torch.optim.Adam(player.parameters(), 1e-4, (0.5, 0.9), fused=on_gpu, capturable=on_gpu)
            for player in (self.generator, self.critic)
        )


# --- steps ----------------------------------------------------------------------------------------


def wgan_gp(peer: Any, case: Case) -> Iteration:
    """The peer's own step."""
    return lambda: peer.wgan_gp_iteration(
        case.generator, case.critic, case.generator_tx, case.critic_tx,
        case.source, case.latent, case.batch, case.weight,
    )  # fmt: skip


def began(case: Case, compiled: bool) -> Iteration:
    """One update of each player; k stays on the device, so that nothing waits for the host."""
    wrap: Any = case.compile if compiled else lambda fn: fn
    generator, critic = wrap(case.generator), wrap(case.critic)
    k = torch.zeros(())
    noise = lambda: torch.rand(case.batch, *case.latent) * 2 - 1

    def iteration() -> None:
        with torch.no_grad():
            fake = generator(noise())
        case.critic_tx.zero_grad(set_to_none=True)
        loss_real = critic(case.source(case.batch)).mean()
        (loss_real - k * critic(fake).mean()).backward()
        case.critic_tx.step()
        case.critic.requires_grad_(False)
        case.generator_tx.zero_grad(set_to_none=True)
        loss_fake = critic(generator(noise())).mean()
        loss_fake.backward()
        case.generator_tx.step()
        case.critic.requires_grad_(True)
        with torch.no_grad():
            k.copy_((k + 1e-3 * (0.5 * loss_real - loss_fake)).clamp(0, 1))

    return iteration


def critic_loss(case: Case) -> Callable[..., Any]:
    """(params, real, fake, eps) -> the critic's loss with its penalty, by torch.func."""

    def loss(params: Any, real: Any, fake: Any, eps: Any) -> Any:
        score = lambda x: torch.func.functional_call(case.critic, params, (x,))
        slope = torch.func.grad(lambda x: score(x).sum())(eps * real + (1 - eps) * fake)
        penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return score(fake).mean() - score(real).mean() + case.weight * penalty

    return loss


def compiled_wgan_gp(case: Case) -> Iteration:
    """A step of compiled parts.

    Raises:
      ValueError: the compiled gradient of the critic is not the eager one.
    """
    loss = critic_loss(case)
    gradient = case.compile(torch.func.grad(loss))
    generator, critic = case.compile(case.generator), case.compile(case.critic)
    normal = lambda: torch.randn(case.batch, *case.latent)

    def inputs() -> tuple[Any, ...]:
        real = case.source(case.batch)
        with torch.no_grad():
            fake = generator(normal())
        eps = torch.rand(case.batch, *[1] * (real.dim() - 1))
        return dict(case.critic.named_parameters()), real, fake, eps

    params, *data = inputs()
    require_equal(torch.func.grad(loss)(params, *data), gradient(params, *data))

    def iteration() -> None:
        for _ in range(N_CRITIC):
            params, *data = inputs()
            for name, value in gradient(params, *data).items():
                params[name].grad = value.detach()
            case.critic_tx.step()
        case.critic.requires_grad_(False)
        case.generator_tx.zero_grad(set_to_none=True)
        (-critic(generator(normal())).mean()).backward()
        case.generator_tx.step()
        case.critic.requires_grad_(True)

    return iteration


def require_equal(expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Raises ValueError unless two gradients differ by less than what TF32's rounding makes."""
    flat = lambda tree: torch.cat([tree[name].flatten().double() for name in sorted(tree)])
    far = (flat(found) - flat(expected)).norm() / flat(expected).norm()
    if not far < 0.03:
        raise ValueError(f"torch.compile's gradient of the critic is off by {float(far):.1%}")


def captured(iteration: Iteration) -> Iteration:
    """The iteration as one CUDA graph; it runs a few times before, as PyTorch asks.

    Raises:
      ValueError: there is no CUDA device.
    """
    if torch.get_default_device().type != "cuda":
        raise ValueError("way is 'graph': a CPU has no CUDA graphs")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            iteration()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        iteration()
    return graph.replay


# --- timing ---------------------------------------------------------------------------------------


def synchronize() -> None:
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def seconds_of(iteration: Iteration, times: int) -> float:
    """Wall seconds of so many iterations."""
    synchronize()
    began_at = time.perf_counter()
    for _ in range(times):
        iteration()
    synchronize()
    return time.perf_counter() - began_at


def measure(peer: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Times a case in a way: three repeats, of which the median counts."""
    case = Case(peer, args.case, args.batch_size, args.dry)
    compiled = args.way == "compile"
    began_at = time.perf_counter()
    on_gpu = torch.get_default_device().type == "cuda"
    with torch.autocast(
        "cuda" if on_gpu else "cpu", torch.bfloat16, enabled=args.precision == "bfloat16"
    ):
        if args.case == "began128":
            iteration = began(case, compiled)
        else:
            iteration = compiled_wgan_gp(case) if compiled else wgan_gp(peer, case)
        if args.way == "graph":
            iteration = captured(iteration)
        # The first ones choose algorithms and compile.
        seconds_of(iteration, 3)
        ready = time.perf_counter() - began_at
        times = max(1, int(args.seconds / seconds_of(iteration, 1)))
        each = sorted(times / seconds_of(iteration, times) for _ in range(3))
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "iterations_per_second": float(f"{each[1]:.4g}"),
        "each": [float(f"{rate:.4g}") for rate in each],
        "compile_seconds": round(ready, 1),
        "peak_memory_mb": torch.cuda.max_memory_allocated() // 2**20 if on_gpu else 0,
        "finite": all(bool(p.isfinite().all()) for p in case.critic.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("case", choices=["tiny_mlp", "dcgan32", "resnet", "began128"])
    parser.add_argument("--way", default="eager", choices=["eager", "graph", "compile"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one timing")
    parser.add_argument("--dry", action="store_true", help="a few channels, on any device")
    args = parser.parse_args()
    spec: Any = importlib.util.spec_from_file_location("peer", args.peer)
    peer = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = peer  # torch.compile looks for it there
    spec.loader.exec_module(peer)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if not (torch.cuda.is_available() or args.dry):
        sys.exit("error: PyTorch sees no GPU; give --dry to try this on a CPU")
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        print(json.dumps(measure(peer, args)))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
