"""Emoji of the installed Noto Color Emoji, which .ci/run installs: pictures, families, damage."""

import io
import pathlib
import re

import matplotlib
import numpy as np
import pytest
from made_data import small_font
from PIL import Image, ImageDraw, ImageFont

from jwgan import data
from jwgan.data import emoji_font
from jwgan.data.emoji_font import GROUPS

# Where a bitmap lies in the whole file; the table's index is not asked.
PNG = re.compile(rb"\x89PNG\r\n\x1a\n.*?IEND\xae\x42\x60\x82", re.DOTALL)


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


def text_of(emoji):
    return "".join(map(chr, emoji.code_points))


@pytest.fixture(scope="module")
def font():
    return emoji_font.find()


@pytest.fixture(scope="module")
def emoji(font):
    return emoji_font.read(font)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_font(tmp_path_factory.mktemp("font") / "small.ttf")


# --- the font


def test_every_bitmap_of_the_font_is_an_emoji(font, emoji):
    bitmaps = PNG.findall(font.read_bytes())
    assert len(bitmaps) == len(emoji)
    assert sorted(bitmaps) == sorted(one.png for one in emoji)
    assert len(emoji) == 3926  # version 2.042, Debian 12; another version has other numbers
    assert len({one.code_points for one in emoji}) == len(emoji)
    assert [one.code_points for one in emoji] == sorted(one.code_points for one in emoji)


@pytest.fixture(scope="module")
def found():
    return data.emoji(image_size=16)


def test_the_data_set_is_the_font_on_white(found):
    both = np.concatenate([found.images, found.test_images])
    assert both.dtype == np.float32
    assert both.shape == (3926, 16, 16, 3)
    assert len(found.test_images) == 600
    assert -1 <= both.min() < -0.9
    assert both.max() == 1
    assert len(found.labels) == len(found.images)
    # 136 x 128 pixels are padded above and below: there every picture is less dark.
    assert both[:, [0, -1]].mean() > both.mean() + 0.1


def rendered(font, text):
    """A glyph as Pillow's FreeType draws it, on white, 136 x 136: its own reader of CBDT."""
    face = ImageFont.truetype(str(font), 109)
    image = Image.new("RGBA", (300, 300), "white")
    ImageDraw.Draw(image).text((50, 50), text, font=face, embedded_color=True)
    left, top, right, bottom = face.getbbox(text)
    assert (right - left, bottom - top) == (136, 128)
    square = image.crop((50 + left, 46 + top, 50 + right, 50 + bottom + 4)).convert("RGB")
    return np.asarray(square, np.float64)


@pytest.mark.parametrize("text", "🐧🍕😀🏃🚲")
def test_a_glyphs_pixels_are_those_that_freetype_draws(font, emoji, text):
    [chosen] = [one for one in emoji if text_of(one) == text]
    expected = rendered(font, text)
    assert 100 < expected.mean() < 250
    # An average over parts of pixels: each is repeated 16 times a side, then blocks are of 17.
    fine = expected.repeat(16, axis=0).repeat(16, axis=1).reshape(128, 17, 128, 17, 3)
    for side in (128, 64, 16):
        shown = fine.mean(axis=(1, 3)).reshape(side, 128 // side, side, 128 // side, 3)
        found = emoji_font.pixels([chosen], side, 3)[0]
        # FreeType rounds what transparency leaves to whole numbers.
        np.testing.assert_allclose((found + 1) * 127.5, shown.mean(axis=(1, 3)), atol=3)
        assert (found[[0, 0, -1, -1], [0, -1, 0, -1]] == 1).all()


@pytest.mark.parametrize(("size", "side"), [(136, 64), (136, 100), (7, 3), (5, 5), (3, 8), (1, 4)])
def test_averages_are_those_of_a_finer_line(size, side):
    x = np.random.default_rng(0).normal(size=(size, 2))
    expected = x.repeat(side, axis=0).reshape(side, size, 2).mean(axis=1)
    np.testing.assert_allclose(emoji_font.averages(x, side), expected, rtol=1e-9, atol=1e-12)


def test_transparency_padding_and_grey_by_hand():
    # Half transparent red beside nothing (whatever its colour), in a bitmap twice as wide as high.
    pixels = np.array([[[255, 0, 0, 128]] * 2 + [[0, 0, 0, 0]] * 2] * 2, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    one = emoji_font.Emoji((65,), file.getvalue())
    found = emoji_font.pixels([one], 16, 3)[0]
    half = 1 - 2 * 128 / 255
    expected = np.ones((16, 16, 3))
    expected[4:12, :8, 1:] = half
    np.testing.assert_allclose(found, expected, atol=1e-6)
    grey = emoji_font.pixels([one], 16, 1)[0, :, :, 0]
    np.testing.assert_allclose(grey[8, 0], 0.299 + 0.701 * half, atol=1e-6)
    assert grey.shape == (16, 16)
    assert grey[0, 0] == grey[8, 15] == 1


# --- families


@pytest.mark.parametrize(
    "variants",
    [
        ["🏃", "🏃🏿", "🏃‍♀️", "🏃🏽‍♂️"],
        ["🧑‍🚀", "👩‍🚀", "👨🏾‍🚀"],
        ["🧑", "👨", "👩", "👩‍🦰", "🧑🏿‍🦲"],
        ["👪", "👨‍👩‍👧‍👦", "👩‍👦", "🧑‍🧑‍🧒"],
        ["👫", "👬", "👭🏽", "👩🏻‍🤝‍👨🏿", "🧑‍🤝‍🧑"],
        ["💏", "💏🏽", "👨‍❤️‍💋‍👨", "🧑🏻‍❤️‍💋‍🧑🏿"],
        ["💑", "👩‍❤️‍👨", "🧑🏻‍❤️‍🧑🏿"],
        ["🤝", "🤝🏽", "🫱🏻‍🫲🏿"],
        ["🎅", "🤶🏽", "🧑‍🎄"],
        ["❤", "❤️"],
    ],
)
def test_variants_are_one_family(variants):
    assert len({emoji_font.family(map(ord, text)) for text in variants}) == 1


def test_what_is_another_emoji_is_another_family():
    texts = [
        "🏃",
        "🚶",
        "🧑",
        "🧒",
        "🧑‍🚀",
        "🧑‍🚒",
        "👪",
        "💏",
        "💑",
        "🇨🇭",
        "🇸🇪",
        "♀",
        "♂",
        "🏻",
        "🏿",
        "🦰",
    ]
    assert len({emoji_font.family(map(ord, text)) for text in texts}) == len(texts)


def test_no_variant_of_a_training_picture_is_held_out(emoji):
    """By the sequences of Unicode: with and without a tone, with and without a sign of gender."""
    train, test = emoji_font.parts(emoji)
    assert (len(train), len(test)) == (3326, 600)
    assert train != sorted(train)  # metrics look at the first ones
    side = {text_of(one): False for one in train} | {text_of(one): True for one in test}
    pairs = 0
    for text in side:
        bare = re.sub("[\U0001f3fb-\U0001f3ff]", "", text)
        for other in (bare, bare.replace("\u200d♂", ""), bare.replace("\u200d♀", "")):
            if other != text and other in side:
                assert side[text] == side[other], (text, other)
                pairs += 1
    assert pairs > 1500
    assert not {one.png for one in train} & {one.png for one in test}


def test_held_out_pictures_are_new(found):
    """To the eye as well: the nearest training picture is no variant, but another emoji."""
    train, test = (x.reshape(len(x), -1) for x in (found.images, found.test_images))
    squares = (test**2).sum(1)[:, None] + (train**2).sum(1) - 2 * test @ train.T
    nearest = np.sqrt(np.maximum(squares.min(axis=1), 0) / train.shape[1]) * 127.5
    assert nearest.min() > 5
    assert np.median(nearest) > 25
    # What two variants of one emoji differ by: of man and woman in one tone, for example.
    assert np.mean(nearest < 13) < 0.1


# --- groups


def test_groups_of_emoji_that_everybody_knows(emoji):
    known = {
        "Flags": ["🇨🇭", "🏴‍☠️", "🏳️‍🌈", "🚩"],
        "People & Body": ["🏃", "🧑‍🚀", "👩‍❤️‍👨", "👍", "👪"],
        "Smileys & Emotion": ["😀", "❤", "👻"],
        "Animals & Nature": ["🐧", "🐻‍❄️", "🌵"],
        "Food & Drink": ["🍕", "☕"],
        "Activities": ["⚽", "🎃"],
        "Travel & Places": ["🚲", "⛰", "⌚"],
        "Objects": ["💡", "✂"],
        "Symbols": ["♻", "5", "5\u20e3", "➕"],
    }
    assert list(known) == list(emoji_font.GROUPS)
    for number, texts in enumerate(known.values()):
        assert [emoji_font.group(list(map(ord, text))) for text in texts] == [number] * len(texts)
    counts = np.bincount([emoji_font.group(one.code_points) for one in emoji])
    assert counts.tolist() == [385, 2285, 168, 154, 134, 85, 218, 261, 236]


# --- where it is, and what is wrong with it


def test_a_font_is_found_by_its_folder_and_its_name(tmp_path, small, monkeypatch):
    (tmp_path / "deep" / "noto").mkdir(parents=True)
    font = tmp_path / "deep" / "noto" / emoji_font.FILE
    font.write_bytes(small.read_bytes())
    monkeypatch.setattr(emoji_font, "_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    for path in (None, font, font.parent, str(font)):
        assert emoji_font.find(path) == font
    found = data.emoji(font, image_size=20, channels=1)
    assert found.images.shape[1:] == (20, 20, 1)
    assert len(found.images) + len(found.test_images) == 13
    assert found.source == str(font)
    np.testing.assert_array_equal(found.images, data.emoji(font, image_size=20, channels=1).images)


def test_no_font_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji_font, "_FOLDERS", (str(tmp_path),))
    with pytest.raises(data.DataError) as error:
        data.emoji()
    said = one_line(error)
    assert str(tmp_path) in said
    assert "apt-get install fonts-noto-color-emoji" in said
    assert "--data-dir FILE.ttf" in said
    for path in (tmp_path, tmp_path / "absent.ttf"):
        with pytest.raises(data.DataError, match=r"no font file; install it") as error:
            data.emoji(path)
        assert str(path) in one_line(error)


def without_its_bitmaps(content):
    """Each PNG of the font becomes noise behind its signature."""
    return PNG.sub(lambda found: found[0][:8] + bytes(len(found[0]) - 8), content)


def large(content):
    """Each PNG says that it is 70,000 pixels wide."""
    side = (70_000).to_bytes(4, "big")
    return PNG.sub(lambda found: found[0][:16] + side + found[0][20:], content)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: b"", "unreadable font: TTLibError"),
        (lambda content: b"<html>404</html>", "unreadable font: TTLibError"),
        (lambda content: content[: len(content) // 2], "unreadable font: "),
        (lambda content: content[:300], "unreadable font: "),
        (
            lambda content: content.replace(b"CBDT", b"CBDX", 1),
            "without colour bitmaps (table CBDT)",
        ),
        (without_its_bitmaps, "is unreadable: "),
        (large, "is unreadable: "),
    ],
)
def test_a_damaged_font_is_one_line(tmp_path, small, damage, says):
    path = tmp_path / "damaged.ttf"
    path.write_bytes(damage(small.read_bytes()))
    with pytest.raises(data.DataError) as error:
        data.emoji(path)
    assert str(path) in one_line(error)
    assert says in one_line(error)
    assert "--data-dir FILE.ttf" in one_line(error)


def test_a_font_of_letters_has_no_emoji():
    path = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    with pytest.raises(data.DataError, match=r"DejaVuSans.ttf: a font without colour bitmaps"):
        data.emoji(path)


def test_a_font_of_a_few_emoji_has_no_two_parts(tmp_path):
    path = small_font(tmp_path / "two.ttf", "🐧🐩")
    with pytest.raises(data.DataError, match="2 emoji are too few for a training and a held-out"):
        data.emoji(path)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image_size": 15}, "image_size=15: give 16 to 128 for emoji"),
        ({"image_size": 129}, "image_size=129: give 16 to 128 for emoji"),
        ({"image_size": 0}, "give channels 1 or 3, image_size >= 1"),
        ({"channels": 2}, "channels=2"),
        ({"channels": 4}, "channels=4"),
    ],
)
def test_sizes_and_channels_out_of_range(options, says):
    with pytest.raises(data.DataError) as error:
        data.emoji("not even looked for.ttf", **options)
    assert says in one_line(error)


@pytest.mark.slow
def test_groups_are_those_that_unicode_publishes(emoji):
    """Compared with emoji-test.txt of Debian's unicode-data, which .ci/run installs."""
    published, group = {}, ""
    listed = pathlib.Path("/usr/share/unicode/emoji/emoji-test.txt").read_text(encoding="utf-8")
    for line in listed.splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ")
        elif ";" in line and not line.startswith("#"):
            code_points = tuple(int(code, 16) for code in line.split(";")[0].split())
            # The font has its sequences without the selector of colour.
            published[tuple(code for code in code_points if code != 0xFE0F)] = group
    # Tones and kinds of hair by themselves have no group of their own here.
    published = {text: name.replace("Component", GROUPS[1]) for text, name in published.items()}
    texts = [one.code_points for one in emoji if one.code_points in published]
    assert len(texts) > 2400
    other = [text for text in texts if GROUPS[emoji_font.group(text)] != published[text]]
    assert other == [(0x1F441, 0x200D, 0x1F5E8)]  # an eye in a speech bubble
