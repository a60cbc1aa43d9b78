"""The colour bitmaps of an emoji font as pictures: their families, groups and pixels.

A font such as Noto Color Emoji holds a PNG for every emoji (table CBDT) and the sequences of code
points that show it (tables cmap and GSUB), read by fontTools. A font is a stranger's file: whatever
is wrong with it is a `DataError` of one line.

Two thirds of the emoji are variants: a person in six skin tones, as man and as woman, with four
kinds of hair. Variants of one emoji are one `family`, and a family is held out or trained on as a
whole: a variant of a training picture would be no new picture.

>>> from jwgan.data import emoji_font
"""

import bisect
import io
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import memory
from jwgan.data.errors import DataError

FILE = "NotoColorEmoji.ttf"
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
_REMEDY = (
    "install it (Debian, Ubuntu: apt-get install fonts-noto-color-emoji), or pass --data-dir "
    "FILE.ttf, a font with colour bitmaps (table CBDT)"
)
SIDES = (16, 128)  # the smallest and the largest, pixels
_MOST_SIDE = 1024  # of a bitmap, pixels: a header may announce what would fill the memory


class Emoji(NamedTuple):
    """An emoji of a font.

    Attributes:
      code_points: the shortest sequence that shows it; of equally short ones the smallest.
      png: its bitmap as the font holds it.
    """

    code_points: tuple[int, ...]
    png: bytes


def find(path: str | os.PathLike | None = None) -> Path:
    """The font's file.

    Args:
      path: the file itself, or the folder that holds NotoColorEmoji.ttf; None: where systems and
        users install fonts.

    Raises:
      DataError: there is none.

    >>> emoji_font.find("nowhere.ttf")
    Traceback (most recent call last):
    jwgan.data.errors.DataError: nowhere.ttf: no font file; install it (...
    """
    if path is not None:
        given = Path(path)
        found = given / FILE if given.is_dir() else given
        if not found.is_file():
            raise DataError(f"{found}: no font file; {_REMEDY}")
        return found
    folders = [Path(folder).expanduser() for folder in _FOLDERS]
    for folder in folders:
        for found in sorted(folder.rglob(FILE)):
            if found.is_file():
                return found
    looked = ", ".join(map(str, folders))
    raise DataError(f"emoji: no {FILE} found (looked below {looked}); {_REMEDY}")


def read(path: Path) -> list[Emoji]:
    """All emoji of a font that have a bitmap and that some text shows, by their code points.

    Raises:
      DataError: no font with colour bitmaps, or a damaged one.
      MissingPackageError: fontTools is not installed.

    >>> emoji = emoji_font.read(emoji_font.find())
    >>> [penguin] = [one for one in emoji if one.code_points == (ord("🐧"),)]
    >>> penguin.png[1:4]
    b'PNG'
    """
    check.require_package("fontTools", "data")
    from fontTools import ttLib

    try:
        with open(path, "rb") as file, ttLib.TTFont(file, lazy=True) as font:
            bitmaps, texts = _bitmaps(font), _texts(font)
    except DataError as error:
        raise DataError(f"{path}: {error}; {_REMEDY}") from error
    except MemoryError as error:
        raise DataError(f"{path}: more bitmaps than there is memory for; {_REMEDY}") from error
    except Exception as error:  # fontTools raises TTLibError, struct.error, AssertionError, ...
        said = f"unreadable font: {check.one_line(error)}"
        raise DataError(f"{path}: {said}; {_REMEDY}") from error
    found = [Emoji(texts[name], png) for name, png in bitmaps.items() if name in texts]
    if not found:
        raise DataError(f"{path}: no text shows any of its {len(bitmaps)} bitmaps; {_REMEDY}")
    return sorted(found)


def _bitmaps(font: Any) -> dict[str, bytes]:
    """{glyph: PNG} of the largest bitmaps that a font has."""
    if "CBDT" not in font or "CBLC" not in font:
        raise DataError("a font without colour bitmaps (table CBDT)")
    sizes = [strike.bitmapSizeTable.ppemY for strike in font["CBLC"].strikes]
    if not sizes:
        raise DataError("a font whose table CBDT is empty")
    glyphs = font["CBDT"].strikeData[sizes.index(max(sizes))]
    return {name: bytes(glyph.imageData) for name, glyph in glyphs.items()}


def _texts(font: Any) -> dict[str, tuple[int, ...]]:
    """{glyph: the code points that show it}, of one code point or of a ligature."""
    of_glyph: dict[str, int] = {}
    for code, name in sorted((font.getBestCmap() or {}).items()):
        of_glyph.setdefault(name, code)
    found: dict[str, list[tuple[int, ...]]] = {}
    for name, code in of_glyph.items():
        found[name] = [(code,)]
    lookups = font["GSUB"].table.LookupList.Lookup if "GSUB" in font else ()
    tables = [table for lookup in lookups for table in lookup.SubTable]
    for table in tables:
        # A large font has its tables one level deeper.
        ligatures = getattr(getattr(table, "ExtSubTable", table), "ligatures", {})
        for first, others in ligatures.items():
            for ligature in others:
                names = (first, *ligature.Component)
                if all(name in of_glyph for name in names):
                    code_points = tuple(of_glyph[name] for name in names)
                    found.setdefault(ligature.LigGlyph, []).append(code_points)
    # Some flags have a code point for private use as well, which says nothing of what they show.
    private = lambda text: any(unicodedata.category(chr(code)) == "Co" for code in text)
    return {
        name: min(texts, key=lambda t: (private(t), len(t), t)) for name, texts in found.items()
    }


# What varies an emoji: the joiner and the selector of colour, skin tones, hair, signs of gender.
_VARIES = frozenset((0x200D, 0xFE0F, *range(0x1F3FB, 0x1F400), *range(0x1F9B0, 0x1F9B4)))
_GENDER = frozenset((0x2640, 0x2642))
_PERSON, _CHILD = 0x1F9D1, 0x1F9D2
_NEUTRAL = {0x1F468: _PERSON, 0x1F469: _PERSON, 0x1F466: _CHILD, 0x1F467: _CHILD}
# Single code points, and one pair, that show what a sequence or another code point shows too.
_LIKE: dict[tuple[int, ...], tuple[int, ...]] = {
    **dict.fromkeys([(0x1F46B,), (0x1F46C,), (0x1F46D,)], (0x1F91D, _PERSON, _PERSON)),
    (0x1F48F,): (0x2764, 0x1F48B, _PERSON, _PERSON),
    (0x1F491,): (0x2764, _PERSON, _PERSON),
    (0x1FAF1, 0x1FAF2): (0x1F91D,),  # a handshake of two tones
    **dict.fromkeys([(0x1F474,), (0x1F475,)], (0x1F9D3,)),  # old men and women
    **dict.fromkeys([(0x1F934,), (0x1F478,)], (0x1FAC5,)),  # princes and princesses
    **dict.fromkeys([(0x1F936,), (0x1F384, _PERSON)], (0x1F385,)),  # Santa and Mrs Claus
    **dict.fromkeys([(0x1F930,), (0x1FAC3,)], (0x1FAC4,)),  # pregnant women and men
}
_FAMILY = (0x1F46A,)


def family(code_points: Iterable[int]) -> tuple[int, ...]:
    """What all variants of an emoji share: its code points in order, without tone, hair and gender.

    A man, a woman and a person are variants of one emoji, and so are all families of adults and
    children, a couple with and without tones, and the few that Unicode has twice.

    >>> woman_running = "\\N{RUNNER}\\N{EMOJI MODIFIER FITZPATRICK TYPE-6}\\N{ZERO WIDTH JOINER}♀"
    >>> emoji_font.family(map(ord, woman_running)) == (ord("\\N{RUNNER}"),)
    True
    """
    code_points = tuple(code_points)
    bare = [code for code in code_points if code not in _VARIES | _GENDER]
    # A tone by itself, or the sign of women, is an emoji too.
    kept = bare or [code for code in code_points if code not in (0x200D, 0xFE0F)]
    found = tuple(sorted(_NEUTRAL.get(code, code) for code in kept))
    if len(found) > 1 and set(found) <= {_PERSON, _CHILD}:
        return _FAMILY
    return _LIKE.get(found, found)


def is_held_out(code_points: Sequence[int]) -> bool:
    """Whether an emoji is no training picture: its family's code points have a sum divisible by 6.

    So an emoji is on the same side in every version of a font.

    >>> [emoji_font.is_held_out([ord(emoji)]) for emoji in "🐧🐨🐩🐪🐫🐬"]
    [False, True, False, False, False, False]
    """
    return sum(family(code_points)) % 6 == 0


def parts(emoji: Sequence[Emoji]) -> tuple[list[Emoji], list[Emoji]]:
    """(training part, held-out part), each in a random order that is always the same.

    Some countries have one flag: emoji with one bitmap are on the side of the first of them.

    >>> emoji = [emoji_font.Emoji((ord(text),), b"") for text in "🐧🐨🐩"]
    >>> [len(part) for part in emoji_font.parts(emoji)]  # as if they were one picture
    [3, 0]
    """
    side: dict[bytes, bool] = {}
    for one in emoji:
        side.setdefault(one.png, is_held_out(one.code_points))
    order = np.random.default_rng(0).permutation(len(emoji))
    mixed = [emoji[i] for i in order]
    return [one for one in mixed if not side[one.png]], [one for one in mixed if side[one.png]]


# Unicode's groups. A sequence that has code points of several is in the first of these: a person
# with a suitcase is a person.
GROUPS = (
    *("Flags", "People & Body", "Smileys & Emotion", "Animals & Nature", "Food & Drink"),
    *("Activities", "Travel & Places", "Objects", "Symbols"),
)
_LETTERS = "lpsafvtoy"  # of the groups, in this order
# Where in the order of code points another group begins: Unicode, emoji-test.txt, version 15.0,
# whose tones and kinds of hair are People & Body here.
_RUNS = """
23y 231At 2328o 23CFy 23F0t 23F8y 2600t 260Eo 2611y 2614t 2615f 2618a 261Dp 2620s 2622y 2639s 2640y
265Fv 2668t 267By 2692o 2693t 2694o 2695y 2696o 269By 26A1t 26A7y 26B0o 26BDv 26C4t 26CEy 26CFo
26D4y 26E9t 26F3v 26F4t 26F7p 26F8v 26F9p 26FAt 2702o 2705y 2708t 2709o 270Ap 270Fo 2714y 2728v
2733y 2744t 2747y 2763s 2795y 2B50t 2B55y 1F004v 1F170y 1F1E6l 1F201y 1F300t 1F32Df 1F331a 1F336f
1F337a 1F33Df 1F33Ea 1F345f 1F380v 1F382f 1F383v 1F385p 1F386v 1F38Cl 1F38Dv 1F392o 1F396v 1F399o
1F39Fv 1F3A0t 1F3A3v 1F3A4o 1F3A6y 1F3A7o 1F3A8v 1F3A9o 1F3AAt 1F3ABv 1F3ACo 1F3ADv 1F3B5o 1F3BDv
1F3C1l 1F3C2p 1F3C5v 1F3C7p 1F3C8v 1F3CAp 1F3CDt 1F3CFv 1F3D4t 1F3E7y 1F3E8t 1F3EEo 1F3EFt 1F3F3l
1F3F5a 1F3F7o 1F3F8v 1F3F9o 1F3FAf 1F3FBp 1F400a 1F440p 1F451o 1F463p 1F479s 1F47Cp 1F47Ds 1F481p
1F484o 1F485p 1F488t 1F489o 1F48Bs 1F48Do 1F48Fp 1F490a 1F491p 1F492t 1F493s 1F4A0y 1F4A1o 1F4A2s
1F4A3o 1F4A4s 1F4A7t 1F4A8s 1F4AAp 1F4ABs 1F4AEa 1F4AFs 1F4B0o 1F4B1y 1F4B3o 1F4BAt 1F4BBo 1F4DBy
1F4DCo 1F4F3y 1F4F7o 1F500y 1F507o 1F518y 1F525t 1F526o 1F52Af 1F52Bv 1F52Co 1F52Ev 1F52Fy 1F54Aa
1F54Bt 1F54Ey 1F550t 1F56Fo 1F570t 1F573s 1F574p 1F576o 1F577a 1F579v 1F57Ap 1F587o 1F590p 1F5A4s
1F5A5o 1F5BCv 1F5C2o 1F5E3p 1F5E8s 1F5F3o 1F5FAt 1F5FFo 1F600s 1F645p 1F648s 1F64Bp 1F680t 1F6A3p
1F6A4t 1F6A9l 1F6AAo 1F6ABy 1F6ACo 1F6ADy 1F6B2t 1F6B3y 1F6B4p 1F6B7y 1F6BDo 1F6BEy 1F6BFo 1F6C0p
1F6C1o 1F6C2y 1F6CBo 1F6CCp 1F6CDo 1F6CEt 1F6CFo 1F6D0y 1F6D1t 1F6D2o 1F6D5t 1F6D7o 1F6DCy 1F6DDt
1F6E0o 1F6E2t 1F6F7v 1F6F8t 1F7E0y 1F90Cp 1F90Ds 1F90Fp 1F910s 1F918p 1F920s 1F926p 1F927s 1F930p
1F93Fv 1F940a 1F941o 1F942f 1F945v 1F950f 1F970s 1F977p 1F978s 1F97Bo 1F980f 1F981a 1F990f 1F992a
1F99Ef 1F99Fa 1F9AAf 1F9ABa 1F9AFo 1F9B0p 1F9BAo 1F9BBp 1F9BCt 1F9BEp 1F9C0f 1F9CCp 1F9D0s 1F9D1p
1F9E1s 1F9E2o 1F9E7v 1F9EAo 1F9EDt 1F9EEo 1F9F1t 1F9F2o 1F9F3t 1F9F4o 1F9F5v 1F9F7o 1F9F8v 1F9F9o
1FA75s 1FA78o 1FA80v 1FA82t 1FA83o 1FA84v 1FA87o 1FA90t 1FA91o 1FAA1v 1FAA3o 1FAA8t 1FAA9v 1FAAAo
1FAAFy 1FAB0a 1FAB5t 1FAB6a 1FAC0p 1FACEa 1FAD0f 1FAE0s 1FAE6p 1FAE7o 1FAE8s 1FAF0p
"""
_BEGINS = _RUNS.split()
_FIRST = [int(begin[:-1], 16) for begin in _BEGINS]


def group(code_points: Sequence[int]) -> int:
    """The number in `GROUPS` of an emoji's group.

    >>> [emoji_font.GROUPS[emoji_font.group([ord(emoji)])] for emoji in "🐧🍕🚲"]
    ['Animals & Nature', 'Food & Drink', 'Travel & Places']
    """
    begins = (_BEGINS[max(0, bisect.bisect(_FIRST, code) - 1)] for code in code_points)
    return min(_LETTERS.index(begin[-1]) for begin in begins)


def require_side(image_size: int) -> None:
    """Raises DataError for a side that emoji are not made of.

    >>> emoji_font.require_side(8)
    Traceback (most recent call last):
    jwgan.data.errors.DataError: image_size=8: give 16 to 128 for emoji
    """
    least, most = SIDES
    if not least <= image_size <= most:
        raise DataError(f"image_size={image_size}: give {least} to {most} for emoji")


def pixels(emoji: Sequence[Emoji], image_size: int, channels: int) -> np.ndarray:
    """Pictures [N, S, S, C] float32 in [-1, 1], C being 3 or 1 for grey, on white.

    A bitmap is padded to a square, and each pixel of the result is the average over its area.

    Args:
      emoji: N of them.
      image_size: S, 16 to 128.
      channels: C.

    Raises:
      DataError: a size out of range, more pictures than this machine has memory for, or a damaged
        bitmap.
      MissingPackageError: Pillow is not installed.

    >>> emoji = emoji_font.read(emoji_font.find())[1000:1001]
    >>> x = emoji_font.pixels(emoji, image_size=64, channels=3)
    >>> x.shape, x[0, 0, 0].tolist()  # the corner is white
    ((1, 64, 64, 3), [1.0, 1.0, 1.0])
    """
    require_side(image_size)
    check.require_package("PIL", "data")
    num_bytes = 4 * len(emoji) * image_size**2 * channels
    what = f"image_size={image_size}: {len(emoji)} images of {channels} channels"
    memory.require(num_bytes, what, "give a smaller image_size")
    found = np.empty((len(emoji), image_size, image_size, channels), np.float32)
    for i, one in enumerate(emoji):
        try:
            found[i] = _fitted(_ink(one.png), image_size, channels)
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ...
            name = " ".join(f"U+{code:04X}" for code in one.code_points)
            said = f"the bitmap of {name} is unreadable: {check.one_line(error)}"
            raise DataError(f"{said}; {_REMEDY}") from error
    return found


def _ink(png: bytes) -> np.ndarray:
    """What a bitmap takes from white, in the middle of a square: uint16 [M, M, 3], 0 to 255^2."""
    check.require_package("PIL", "data")
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        width, height = image.size
        if max(image.size) > _MOST_SIDE:
            raise ValueError(f"{width} x {height} pixels, more than {_MOST_SIDE} a side")
        read = np.asarray(image.convert("RGBA"))
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint16)
    top, left = (side - height) // 2, (side - width) // 2
    opaque = read[..., 3:].astype(np.uint16)
    square[top : top + height, left : left + width] = (255 - read[..., :3]) * opaque
    return square


_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def _fitted(ink: np.ndarray, side: int, channels: int) -> np.ndarray:
    """A square of ink at another size, [side, side, channels] in [-1, 1] with white at 1."""
    if channels == 1:
        ink = (ink * _LUMA).sum(axis=2, keepdims=True)
    small = averages(averages(ink, side).swapaxes(0, 1), side).swapaxes(0, 1)
    return np.maximum(1 - small / (255 * 127.5), -1)  # an average may be off by one rounding


def averages(x: np.ndarray, side: int) -> np.ndarray:
    """Averages [side, ...] of values [M, ...] over `side` equal parts of the first axis' length.

    Sums and no product of matrices: these have the same bits on every machine, so that a run's
    data are known again.

    >>> emoji_font.averages(np.array([0.0, 3.0, 6.0]), 2).tolist()
    [1.0, 5.0]
    """
    size = len(x)
    edges = np.arange(side + 1) * size / side
    pixel = np.minimum(edges.astype(int), size - 1)  # that an edge lies in
    share = (edges - pixel).reshape(-1, *[1] * (x.ndim - 1))
    up_to = np.cumsum(x, axis=0)[pixel] - (1 - share) * x[pixel]
    return np.diff(up_to, axis=0) * side / size
