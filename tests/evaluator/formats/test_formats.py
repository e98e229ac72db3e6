"""Each format that words come in, as its system writes it, and how it is told from the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.formats.read import Format, read_pages, tell_format
from ocr.errors import DataError, UsageError
from ocr.labels import aihub
from shard_builder.word_selection import words_of

SEOUL = ([10.0, 20.0, 70.0, 44.0], "서울")
PRICE = ([80.0, 21.0, 120.0, 44.0], "3,000")

JSONL = """\
{"page": "a", "words": [{"quad": [10, 20, 70, 20, 70, 44, 10, 44], "text": "서울"}]}

{"page": "b", "words": [{"box": [80, 21, 120, 44], "text": "3,000", "confidence": 0.5, "color": "red"}], "width": 9}
"""
EASYOCR = """\
[[[[10, 20], [70, 20], [70, 44], [10, 44]], "서울", 0.99], [[[80, 21], [120, 21], [120, 44], [80, 44]], "3,000", 0.5]]
"""
PADDLE_2 = """\
[[[[[10.0, 20.0], [70.0, 20.0], [70.0, 44.0], [10.0, 44.0]], ["서울", 0.99]],
  [[[80.0, 21.0], [120.0, 21.0], [120.0, 44.0], [80.0, 44.0]], ["3,000", 0.5]]]]
"""
PADDLE_3 = """\
{"input_path": "scans/a.png", "page_index": null, "model_settings": {"use_doc_preprocessor": false},
 "dt_polys": [[[10, 20], [70, 20], [70, 44], [10, 44]]], "text_type": "general", "text_rec_score_thresh": 0.0,
 "rec_texts": ["서울", "3,000"], "rec_scores": [0.99, 0.5],
 "rec_polys": [[[10, 20], [70, 20], [70, 44], [10, 44]], [[80, 21], [100, 21], [120, 21], [120, 44], [80, 44]]],
 "rec_boxes": [[10, 20, 70, 44], [80, 21, 120, 44]]}
"""
TESSERACT = """\
level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext
1\t1\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t
2\t1\t1\t0\t0\t0\t10\t20\t110\t24\t-1\t
3\t1\t1\t1\t0\t0\t10\t20\t110\t24\t-1\t
4\t1\t1\t1\t1\t0\t10\t20\t110\t24\t-1\t
5\t1\t1\t1\t1\t1\t10\t20\t60\t24\t96.063751\t서울
5\t1\t1\t1\t1\t2\t80\t21\t40\t23\t50\t3,000
4\t1\t2\t1\t1\t0\t0\t60\t200\t2\t-1\t
5\t1\t2\t1\t1\t1\t0\t60\t200\t2\t95\t\N{SPACE}
"""
PAGE_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
 <Page imageFilename="a.png" imageWidth="200" imageHeight="100">
  <TextRegion id="r"><Coords points="0,0 200,0 200,100 0,100"/>
   <TextLine id="l"><Coords points="10,20 120,20 120,44 10,44"/>
    <Word id="w1"><Coords points="10,20 70,20 70,44 10,44"/>
     <Glyph id="g"><Coords points="10,20 40,20 40,44 10,44"/><TextEquiv><Unicode>서</Unicode></TextEquiv></Glyph>
     <TextEquiv index="2" conf="0.1"><Unicode>서을</Unicode></TextEquiv>
     <TextEquiv index="1" conf="0.9"><Unicode>서울</Unicode></TextEquiv></Word>
    <TextEquiv><Unicode>서울</Unicode></TextEquiv></TextLine>
   <TextLine id="l2"><Coords points="80,21 100,21 120,21 120,44 80,44"/>
    <TextEquiv><Unicode>3,000</Unicode></TextEquiv></TextLine>
   <TextEquiv><Unicode>서울 3,000</Unicode></TextEquiv></TextRegion></Page></PcGts>
"""
PAGE_2010 = """\
<pc:PcGts xmlns:pc="http://schema.primaresearch.org/PAGE/gts/pagecontent/2010-03-19"><pc:Page><pc:TextRegion>
<pc:TextLine><pc:Word><pc:Coords><pc:Point x="10" y="20"/><pc:Point x="70" y="20"/><pc:Point x="70" y="44"/>
<pc:Point x="10" y="44"/></pc:Coords><pc:TextEquiv><pc:Unicode>서울</pc:Unicode></pc:TextEquiv></pc:Word>
<pc:Word><pc:Coords><pc:Point x="80" y="21"/><pc:Point x="120" y="21"/><pc:Point x="120" y="44"/>
<pc:Point x="80" y="44"/></pc:Coords><pc:TextEquiv><pc:Unicode>3,000</pc:Unicode></pc:TextEquiv></pc:Word>
</pc:TextLine></pc:TextRegion></pc:Page></pc:PcGts>
"""
ALTO = """\
<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
 <Description><MeasurementUnit>pixel</MeasurementUnit></Description>
 <Layout><Page ID="p" WIDTH="200" HEIGHT="100"><PrintSpace><TextBlock><TextLine>
  <String HPOS="10" VPOS="20" WIDTH="60" HEIGHT="24" CONTENT="서울" WC="0.99"/><SP WIDTH="10" HPOS="70" VPOS="20"/>
  <String HPOS="0" VPOS="0" WIDTH="1" HEIGHT="1" CONTENT="3,000">
   <Shape><Polygon POINTS="80,21 120,21 120,44 80,44"/></Shape></String>
 </TextLine></TextBlock></PrintSpace></Page></Layout></alto>
"""
HOCR = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="ko" lang="ko">
 <head><title></title><meta name='ocr-system' content='tesseract 5.3.0' /></head>
 <body><div class='ocr_page' id='page_1' title='image "a.png"; bbox 0 0 200 100; ppageno 0'>
  <span class='ocr_line' title="bbox 10 20 120 44; baseline 0 -5">
   <span class='ocrx_word' id='word_1_1' title='bbox 10 20 70 44; x_wconf 96'><strong>서울</strong></span></span>
  <span class='ocr_line' title="bbox 80 21 120 44">3,000</span>
  <span class='ocr_line' title="bbox 0 60 200 62"><span class='ocrx_word' title='bbox 0 60 200 62'> </span></span>
 </div></body></html>
"""
AIHUB = json.dumps(
    {
        "images": [{"image.category": "인.허가", "image.width": 1, "image.height": 1}],
        "annotations": [
            {"id": 2, "annotation.text": "서울", "annotation.bbox": [10, 20, 60, 24]},
            {"id": 2, "annotation.text": "3,000", "annotation.bbox": [80, 21, 40, 23]},
        ],
    }
)

WRITTEN: list[tuple[Format, str, str]] = [
    ("easyocr", "a.json", EASYOCR),
    ("paddleocr", "a.json", PADDLE_2),
    ("paddleocr", "a.json", PADDLE_2[1:].rstrip()[:-1]),
    ("paddleocr", "a_res.json", PADDLE_3),
    ("paddleocr", "a.json", f'{{"res": {PADDLE_3}}}'),
    ("tesseract", "a.tsv", TESSERACT),
    ("tesseract", "a.tsv", TESSERACT.replace("\n", "\r\n")),
    ("page", "a.xml", PAGE_XML),
    ("page", "a.xml", PAGE_2010),
    ("alto", "a.xml", ALTO),
    ("hocr", "a.hocr", HOCR),
    ("aihub", "a.json", AIHUB),
    (
        "jsonl",
        "a.json",
        json.dumps({"page": "a", "words": [{"box": box, "text": t} for box, t in (SEOUL, PRICE)]}, indent=1),
    ),
]


@pytest.mark.parametrize("in_a_folder", [False, True])
@pytest.mark.parametrize(("format_name", "name", "content"), WRITTEN)
def test_the_words_of_a_page(tmp_path: Path, format_name: Format, name: str, content: str, in_a_folder: bool) -> None:
    path = tmp_path / "deep" / name
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8-sig")
    assert tell_format(content.encode()) == format_name
    for named in (None, format_name):
        found = read_pages(tmp_path if in_a_folder else path, named)
        words = found.pages["a"]
        assert [(box, text) for box, text in zip(words.boxes_N4.tolist(), words.texts, strict=True)] == [SEOUL, PRICE]
        assert found.num_turned == 0


def test_our_own_form_holds_a_page_a_line(tmp_path: Path) -> None:
    (tmp_path / "pages.jsonl").write_text(JSONL, encoding="utf-8")
    found = read_pages(tmp_path / "pages.jsonl")
    assert {name: words.texts for name, words in found.pages.items()} == {"a": ("서울",), "b": ("3,000",)}
    assert found.pages["b"].confidences_N.tolist() == [0.5]
    assert found.places == {"a": f"{tmp_path}/pages.jsonl: line 1", "b": f"{tmp_path}/pages.jsonl: line 3"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [({}, False), ({"dont_care": True}, True), ({"text": "###"}, True), ({"text": "###", "dont_care": False}, False)],
)
def test_dont_care_is_said_or_follows_from_the_text(tmp_path: Path, word: dict[str, Any], expected: bool) -> None:
    page = {"page": "a", "words": [{"box": [0, 0, 9, 9], "text": "가"} | word]}
    (tmp_path / "pages.jsonl").write_text(json.dumps(page), encoding="utf-8")
    assert read_pages(tmp_path / "pages.jsonl").pages["a"].dont_care_N.tolist() == [expected]


@pytest.mark.parametrize(
    ("format_name", "content", "expected"),
    [
        ("easyocr", EASYOCR, [0.99, 0.5]),
        ("paddleocr", PADDLE_2, [0.99, 0.5]),
        ("paddleocr", PADDLE_3, [0.99, 0.5]),
        ("tesseract", TESSERACT, [0.96063751, 0.5]),
        ("page", PAGE_XML, [0.9, 1]),
        ("alto", ALTO, [0.99, 1]),
        ("hocr", HOCR, [0.96, 1]),
        ("aihub", AIHUB, [1, 1]),
    ],
)
def test_confidences(tmp_path: Path, format_name: Format, content: str, expected: list[float]) -> None:
    (tmp_path / "a").write_text(content, encoding="utf-8")
    (words,) = read_pages(tmp_path / "a", format_name).pages.values()
    assert words.confidences_N.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("format_name", "content"),
    [
        ("easyocr", "[]"),
        ("paddleocr", "[[]]"),
        ("paddleocr", "[null]"),
        ("paddleocr", '{"rec_texts": [], "rec_scores": [], "rec_polys": []}'),
        ("tesseract", "\n".join(TESSERACT.splitlines()[:2])),
        ("page", "<PcGts><Page/></PcGts>"),
        ("alto", "<alto><Layout><Page/></Layout></alto>"),
        ("hocr", "<html><body><div class='ocr_page' title='bbox 0 0 9 9'></div></body></html>"),
        ("aihub", '{"images": [], "annotations": []}'),
        ("jsonl", '{"page": "a", "words": []}'),
    ],
)
def test_a_page_without_words(tmp_path: Path, format_name: Format, content: str) -> None:
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    assert tell_format(content.encode()) == format_name
    (words,) = read_pages(tmp_path / "a.txt").pages.values()
    assert words.texts == ()


def test_words_without_text_are_pictures_and_rules_to_tesseract(tmp_path: Path) -> None:
    for format_name, content in {"tesseract": TESSERACT, "hocr": HOCR}.items():
        (tmp_path / format_name).write_text(content, encoding="utf-8")
        assert read_pages(tmp_path / format_name).refused == {"empty text": 1}


def test_a_form_feed_is_part_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(TESSERACT.replace("3,000", "3\f000\u2028"), encoding="utf-8")
    assert read_pages(tmp_path).pages["a"].texts == ("서울", "3\f000\u2028")


def test_hocr_may_be_plain_html(tmp_path: Path) -> None:
    body = "<div class=ocr_page><p><span class='ocrx_word' title='bbox 1 2 30 40'>A &amp; B<br></span>"
    (tmp_path / "a.html").write_text(f"<!doctype html><html><body>{body}", encoding="utf-8")
    words = read_pages(tmp_path).pages["a"]
    assert (words.texts, words.boxes_N4.tolist()) == (("A & B",), [[1, 2, 30, 40]])


def test_hocr_lines_without_words_count_once_wherever_they_stand(tmp_path: Path) -> None:
    lines = "<span class=ocr_line title='bbox 1 2 30 40'>x y</span><span class=ocr_line title='bbox 1 50 9 90'>z</span>"
    body = f"<div class=ocr_page><span class=ocr_textfloat title='bbox 0 0 100 100'>{lines}</span>"
    (tmp_path / "a.html").write_text(f"<!doctype html><html><body>{body}", encoding="utf-8")
    assert read_pages(tmp_path).pages["a"].texts == ("x y", "z")


ODDITIES: list[tuple[list[int], str | None]] = [
    ([10, 20, 30, 40], "김"),
    ([-5, 20, 30, 40], "김"),
    ([10, -7, 30, 40], "해"),
    ([10, 20, 0, 40], "시"),
    ([40, 60, -30, -40], "시"),
    ([-30, 20, 30, 40], "시"),
    ([0, 0, 5, 5], ""),
    ([0, 0, 5, 5], " \t"),
    ([0, 0, 5, 5], None),
    ([0, 0, 5, 5], "를"),
    ([0, 0, 5, 5], "second in its box"),
    ([-3, -3, 8, 8], "the same box once clipped"),
    ([900, 900, 9, 9], " 앞뒤 "),
]


def test_labels_are_read_as_the_shard_builder_reads_them(tmp_path: Path) -> None:
    annotations = [{"annotation.bbox": box, "annotation.text": text} for box, text in ODDITIES]
    content = json.dumps({"images": [{"image.width": 5, "image.height": 5}], "annotations": annotations}).encode()
    (tmp_path / "stem.json").write_bytes(content)
    theirs, refused = words_of(aihub.read_label(content), 1000, 1000)
    found = read_pages(tmp_path)
    ours = found.pages["stem"]
    assert ours.boxes_N4.tolist() == [list(word.box) for _, word in theirs]
    assert ours.texts == tuple(word.text for _, word in theirs)
    assert found.refused == refused


def test_an_evaluation_shards_label_is_a_page(tmp_path: Path) -> None:
    label = {"page": "5350109-2001-0001-1300", "category": "인.허가", "width": 100, "height": 50}
    (tmp_path / "5350109-2001-0001-1300.json").write_text(
        json.dumps(label | {"words": [{"box": [1, 2, 3, 4], "text": "김"}]})
    )
    assert list(read_pages(tmp_path).pages) == ["5350109-2001-0001-1300"]


@pytest.mark.parametrize(
    ("files", "named", "error", "reason"),
    [
        pytest.param({}, None, UsageError, "no file of words below it", id="an empty folder"),
        pytest.param({"a.jpg": "x"}, None, UsageError, "no file of words below it", id="pictures only"),
        pytest.param(
            {"a.json": EASYOCR}, "tesseract", UsageError, r"below it \(\.tsv\)", id="none of the named format"
        ),
        pytest.param(
            {"a.json": '{"results": []}'}, None, DataError, "a.json: not told by its content; name", id="unknown"
        ),
        pytest.param({"a.json": "[1, 2]"}, None, DataError, "a.json: not told by its content", id="a list of numbers"),
        pytest.param({"a.xml": "<mets/>"}, None, DataError, "a.xml: not told by its content", id="another XML"),
        pytest.param({"a.json": ""}, None, DataError, "a.json: is empty", id="an empty file"),
        pytest.param({"a.json": EASYOCR, "b.tsv": TESSERACT}, None, DataError, "b.tsv: looks like tesseract", id="two"),
        pytest.param({"a.json": EASYOCR, "x/a.json": "[]"}, None, DataError, "page 'a' came before", id="twice"),
        pytest.param({"a.json": EASYOCR[:-9]}, "easyocr", DataError, "a.json: not a page of easyocr: ", id="cut off"),
        pytest.param({"a.json": '[[[[1, 2], [3, 4]], "가", 1]]'}, None, DataError, "length 4", id="two corners"),
        pytest.param(
            {"a.json": '[[[[NaN, 2], [3, 4], [5, 6], [7, 8]], "가", 1]]'}, "easyocr", DataError, "malformed", id="NaN"
        ),
        pytest.param(
            {"a.json": '{"rec_texts": [], "rec_scores": [1], "rec_polys": []}'}, None, DataError, "lengths", id="ragged"
        ),
        pytest.param({"a.json": "[null, null]"}, "paddleocr", DataError, "holds 2 pages", id="two pages of PaddleOCR"),
        pytest.param({"a.tsv": "level\tpage_num\n5\t1"}, None, DataError, "line 1: the columns", id="other columns"),
        pytest.param({"a.tsv": TESSERACT + "5\t1\t1"}, None, DataError, "line 10: 3 columns", id="a row cut off"),
        pytest.param(
            {"a.tsv": TESSERACT.replace("\t60\t24\t", "\tx\t24\t")}, None, DataError, "line 6: could not", id="x"
        ),
        pytest.param(
            {"a.tsv": TESSERACT.replace("\t60\t24\t", "\tnan\t24\t")},
            None,
            DataError,
            "line 6: .* no page pixels",
            id="nan",
        ),
        pytest.param(
            {"a.tsv": TESSERACT.replace("\t60\t24\t", "\t-60\t24\t")}, None, DataError, "line 6: .*inverted", id="-60"
        ),
        pytest.param(
            {"a.tsv": TESSERACT.replace("5\t1\t2", "5\t2\t1")}, None, DataError, "line 9: a second page", id="pages"
        ),
        pytest.param(
            {"a.xml": PAGE_XML[:-20]}, None, DataError, "not a page of page: not XML: .*line 1", id="XML cut off"
        ),
        pytest.param(
            {"a.xml": PAGE_XML.replace("70,44", "70,4x,4")}, None, DataError, "line 6: 9 numbers", id="odd points"
        ),
        pytest.param(
            {"a.xml": PAGE_XML.replace("10,20 70,20 70,44 10,44", "")},
            None,
            DataError,
            "line 6: a region without",
            id="no points",
        ),
        pytest.param(
            {"a.xml": "<PcGts><Page/><Page/></PcGts>"}, None, DataError, "holds 2 Page elements", id="two pages"
        ),
        pytest.param(
            {"a.xml": ALTO.replace("pixel", "mm10")}, None, DataError, "in mm10; export ALTO in pixels", id="mm10"
        ),
        pytest.param(
            {"a.xml": ALTO.replace('HPOS="10"', "")}, None, DataError, "line 5: .* no page pixels", id="no HPOS"
        ),
        pytest.param(
            {"a.hocr": HOCR.replace("bbox 10 20 70 44", "")}, None, DataError, "line 7: no bbox", id="no bbox"
        ),
        pytest.param({"a.html": "<html><p>Hello"}, None, DataError, "holds 0 ocr_page elements", id="a web page"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, files: dict[str, str], named: Format | None, error: type[Exception], reason: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(error, match=reason) as caught:
        read_pages(tmp_path, named)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_entity_is_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE alto [<!ENTITY e SYSTEM "{tmp_path}/secret">]>'
    alto = '<alto><Layout><Page><String HPOS="0" VPOS="0" WIDTH="9" HEIGHT="9" CONTENT="x"/>&e;</Page></Layout></alto>'
    (tmp_path / "a.xml").write_text(entity + alto)
    assert read_pages(tmp_path / "a.xml", "alto").pages["a"].texts == ("x",)


def test_corners_in_another_order_are_put_in_turn_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[[[[10, 20], [70, 20], [10, 44], [70, 44]], "서울", 0.9]]', encoding="utf-8")
    found = read_pages(tmp_path)
    assert found.num_turned == 1
    assert np.array_equal(found.pages["a"].quads_N42, [[[10, 20], [70, 20], [70, 44], [10, 44]]])
