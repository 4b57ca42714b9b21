"""Files of tokens: what is read of them, and what is refused, with its line."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers import shared_data

from remanence.data.conll import guess_layout, read_tokens
from remanence.data.schema import guess
from remanence.data.step_records import StepRecords
from remanence.data.tagged import prepare_tag, read_steps, reopen_tag
from remanence.errors import DataError, SettingError
from remanence.settings import settings_from

CONLLU = """\
# sent_id = 1
# text = vámonos al mar
1-2	vámonos	_	_	_	_	_	_	_	_
1	vamos	ir	VERB	_	Mood=Imp	0	root	_	_
2	nos	nosotros	PRON	_	_	1	obj	_	_
3-4	al	_	_	_	_	_	_	_	_
3	a	a	ADP	_	_	5	case	_	_
4	el	el	DET	_	_	5	det	_	_
5	mar	mar	NOUN	_	_	1	obl	_	_
5.1	_	ir	VERB	_	_	_	_	0:root	_

# sent_id = 2
1	#	#	SYM	_	_	0	root	_	_
"""


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def _read(path: Path, **options) -> StepRecords:
    answers = options.pop("answers", True)
    return read_tokens(path, settings_from(options).data, answers=answers)


def _sentences(records: StepRecords) -> list[list[tuple[str, str]]]:
    """Tokens and labels as text."""
    assert records.forms is not None
    found = []
    for start, stop in zip(records.offsets[:-1], records.offsets[1:], strict=True):
        codes = zip(records.forms[start:stop], records.steps[start:stop], strict=True)
        found.append(
            [(records.form_names[form], records.step_names[label] if label >= 0 else "") for form, label in codes]
        )
    return found


def test_conllu_words_alone_are_tokens(tmp_path: Path) -> None:
    records = _read(_file(tmp_path, "a.conllu", CONLLU))
    first = [("vamos", "VERB"), ("nos", "PRON"), ("a", "ADP"), ("el", "DET"), ("mar", "NOUN")]
    assert _sentences(records) == [first, [("#", "SYM")]]
    assert records.lines.tolist() == [4, 13]
    assert [records.line_of_step(step) for step in range(6)] == [4, 5, 7, 8, 9, 13]


def test_conllu_columns_by_name(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.conllu", CONLLU)
    assert _sentences(_read(path, input="lemma", label="feats"))[0][:2] == [("ir", "Mood=Imp"), ("nosotros", "_")]
    assert _sentences(_read(path, answers=False))[1] == [("#", "")]
    with pytest.raises(SettingError, match="'pos' is no column of CoNLL-U"):
        _read(path, label="pos")
    with pytest.raises(DataError, match=r"a\.conllu:4, column 'xpos': the label is missing"):
        _read(path, label="xpos")


COLUMNS = {
    "tabs": ("New York\tB-loc\nis\tO\n\n\t\n-DOCSTART-\tO\n\nAnn\tB-per\n", {}),
    "blanks": ("-DOCSTART- -X- O\n\nNew_York  NNP B-loc\nis VBZ O\n\n\nAnn NNP B-per", {}),
    "carriage returns": ("New_York O B-loc\r\nis O O\r\n\r\nAnn O B-per\r\n", {}),
    "asked": ("B-loc|New York|x\nO|is|x\n\nB-per|Ann|x\n", {"delimiter": "|", "input": "2", "label": "1"}),
    "no end": ("\n\nNew_York B-loc\nis O\n \nAnn B-per", {}),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_column_files_of_many_kinds_say_the_same(case: str, tmp_path: Path) -> None:
    text, options = COLUMNS[case]
    records = _read(_file(tmp_path, "a.conll", text), **options)
    found = [[(token.replace("_", " "), label) for token, label in each] for each in _sentences(records)]
    assert found == [[("New York", "B-loc"), ("is", "O")], [("Ann", "B-per")]]


def test_guesses_are_told(tmp_path: Path) -> None:
    notes = _read(_file(tmp_path, "a.conll", COLUMNS["tabs"][0])).notes
    assert notes[0] == "columns between tabs (--delimiter)"
    assert notes[1:] == ("labels: column 2, the last (--label)", "tokens: column 1 (--input)")
    layout = guess_layout(_file(tmp_path, "b.conll", "a b c\n"), settings_from({}).data)
    assert (layout.token, layout.label, layout.columns) == ("1", "3", 3)


def test_json_lines_of_two_lists(tmp_path: Path) -> None:
    text = '{"id": 1, "words": ["Ann", "is"], "ner": ["B-per", "O"]}\n\n{"id": 2, "words": ["x"], "ner": [3]}\n'
    records = _read(_file(tmp_path, "a.jsonl", text))
    assert _sentences(records) == [[("Ann", "B-per"), ("is", "O")], [("x", "3")]]
    assert records.notes == ("tokens: 'words' (--input)", "labels: 'ner' (--label)")
    assert [records.line_of_step(step) for step in range(3)] == [1, 1, 3]


def test_texts_are_cut_to_predict(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.txt", "Ann is  here\n\n我在 这\n")
    assert _sentences(_read(path, answers=False))[0] == [("Ann", ""), ("is", ""), ("here", "")]
    assert _sentences(_read(path, answers=False, tokens="characters"))[1] == [("我", ""), ("在", ""), ("这", "")]
    single = _file(tmp_path, "a.jsonl", '{"sentence": "Ann is"}\n')
    assert _sentences(_read(single, answers=False)) == [[("Ann", ""), ("is", "")]]


TAGGED = '{"tokens": ["a"], "labels": ["O"]}' + "\n"
BAD = {
    "nine columns": (
        "a.conllu", CONLLU.replace("VERB\t_\tMood=Imp", "VERB\tMood=Imp"), r":4: expected 10 columns .* came 9",
    ),
    "no number": ("a.conllu", CONLLU.replace("2\tnos", "x\tnos"), r":5, column 'id': expected .* a word, came 'x'"),
    "no label": ("a.conllu", CONLLU.replace("PRON", "_"), r":5, column 'upos': the label is missing"),
    "empty token": ("a.conllu", CONLLU.replace("2\tnos", "2\t "), r":5, column 'form': an empty token"),
    "comments alone": ("a.conllu", "# nothing\n\n", r"no sequence of tokens"),
    "ragged": ("a.conll", "a\tO\nb\tO\tO\n", r":2: expected 2 columns between tabs, came 3"),
    "one column": ("a.conll", "a\nb\n", r":1: one column, came 'a'"),
    "empty label": ("a.conll", "a\tO\nb\t\n", r":2, column '2': the label is missing"),
    "blank": ("a.conll", "\n \n\t\n", r"no line with a token"),
    "not UTF-8": ("a.conll", "a\tO\n\udcff\tO\n", r":2: not UTF-8: byte 0xff"),
    "unlike lists": ("a.jsonl", '{"tokens": ["a", "b"], "labels": ["O"]}', r":1: 2 tokens, but 1 labels"),
    "empty list": ("a.jsonl", TAGGED + '{"tokens": [], "labels": []}', r":2, column 'tokens': expected a list"),
    "no list": ("a.jsonl", TAGGED + '{"tokens": ["a"]}', r":2, column 'labels': expected a list"),
    "a number": ("a.jsonl", '{"tokens": ["a", 1.5], "labels": ["O", "O"]}', r":1, column 'tokens': expected a list"),
    "broken": ("a.jsonl", TAGGED + '{"tokens": ["a"', r":2: not JSON"),
    "texts": ("a.txt", "a b c\n", r"lines of text hold no labels"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_malformed_files_are_refused_with_their_line(case: str, tmp_path: Path) -> None:
    name, text, message = BAD[case]
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        _read(path)
    assert caught.value.remedy and str(path) in str(caught.value)


def test_columns_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.conll", "a\tO\n")
    for options in ({"label": "3"}, {"input": "0"}, {"label": "tag"}):
        with pytest.raises(SettingError, match=r"expected the number of a column, 1 … 2"):
            _read(path, **options)
    with pytest.raises(DataError, match="no such key"):
        _read(_file(tmp_path, "a.jsonl", '{"tokens": ["a"]}\n'), label="tags")


def test_english_ewt_holds_what_its_statistics_say(tmp_path: Path) -> None:
    # 2,001 sentences and 25,147 to 25,153 words in the validation part, by release; here counted by hand with grep.
    with tarfile.open(shared_data("tag/ud-english-ewt.tar.xz")) as archive:
        archive.extract("en_ewt-ud-dev.conllu", tmp_path, filter="data")
    path = tmp_path / "en_ewt-ud-dev.conllu"
    records = _read(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    words = [line.split("\t") for line in lines if line and line[0].isdigit() and line.split("\t")[0].isdigit()]
    assert len(records) == sum(line.startswith("# text = ") for line in lines) == 2001
    assert [pair for each in _sentences(records) for pair in each] == [(cells[1].strip(), cells[3]) for cells in words]
    assert len(records.step_names) == 17


def test_labels_that_break_their_scheme_are_noted_and_keep_their_spans(tmp_path: Path) -> None:
    plain = "a\tB-x\nb\tI-x\nc\tO\n\n" * 20
    path = _file(tmp_path, "a.conll", plain + "a\tO\nb\tI-x\nc\tI-x\nd\tB-y\ne\tI-x\n\n" + "d\tB-y\n\n" * 20)
    data = prepare_tag(path, settings_from({"task": "tag", "split": "1,0,0"}).data)
    assert "2 labels break their scheme (first a.conll:82, I-x): a span is taken to begin or end there" in data.notes
    names = data.encoders.labels
    target = data.train.batch(np.array([20])).target
    assert target is not None and [names[label] for label in target[0]] == ["O", "B-x", "I-x", "B-y", "B-x"]


WORD_ROWS = "sentence,word,pos,tag\n1,Ann,NNP,B-per\n,runs,VBZ,O\n2,New,NNP,B-loc\n2,York,NNP,I-loc\n"


def test_lines_of_text_are_told_from_columns(tmp_path: Path) -> None:
    asked = settings_from({"task": "tag", "format": "conll", "delimiter": "\t"}).data

    def tokens(name: str, text: str) -> list[str]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        records = read_tokens(tmp_path / name, asked, answers=False)
        assert records.forms is not None
        return [records.form_names[code] for code in records.forms]

    assert tokens("new.txt", "she sings\nhe came\n") == ["she", "sings", "he", "came"]
    with gzip.open(tmp_path / "new.txt.gz", "wt", encoding="utf-8") as file:
        file.write("she sings\n")
    records = read_tokens(tmp_path / "new.txt.gz", asked, answers=False)
    assert records.form_names == ("she", "sings")
    assert tokens("column.txt", "she\nsings\n\nhe\n") == ["she", "sings", "he"], "a token a line, labels left out"
    assert tokens("labelled.txt", "New York\tB-place\nis\tO\n") == ["New York", "is"], "blanks within a token"
    assert tokens("other.conll", "New York\nis\n") == ["New York", "is"], "its ending says that it has columns"


def test_tables_with_a_token_a_row(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", WORD_ROWS)
    guessed = guess(path, settings_from({"task": "tag", "label": "tag"}).data)
    assert guessed.settings.input == ("word",) and guessed.settings.sequence == ("sentence",)
    records = read_steps(path, guessed.settings)
    assert _sentences(records) == [[("Ann", "B-per"), ("runs", "O")], [("New", "B-loc"), ("York", "I-loc")]]
    assert records.line_of_step(2) == 4 and records.lines.tolist() == [2, 4]
    alone = _file(tmp_path, "b.csv", "word,sentence\nAnn,x\nruns,x\n")
    assert _sentences(read_steps(alone, guessed.settings, answers=False)) == [[("Ann", ""), ("runs", "")]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WORD_ROWS + "1,too,RB,O\n", r":6, column 'sentence': the rows of sentence '1' stand apart"),
        (WORD_ROWS.replace("runs", " "), r":3, column 'word': an empty cell"),
        (WORD_ROWS.replace("I-loc", ""), r":5, column 'tag': an empty cell"),
    ],
)
def test_malformed_tables_of_tokens_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", text)
    with pytest.raises(DataError, match=message):
        read_steps(path, settings_from({"sequence": "sentence", "input": "word", "label": "tag"}).data)


def test_a_tagger_of_a_table_reads_other_files(tmp_path: Path) -> None:
    rows = "".join(f"{row},Ann,B-per\n{row},runs,O\n" for row in range(12))
    data = prepare_tag(_file(tmp_path, "a.csv", "sentence,word,tag\n" + rows), settings_from({"task": "tag"}).data)
    assert data.encoders.layout == "table" and data.encoders.labels == ("O", "B-per", "I-per")
    same = reopen_tag(_file(tmp_path, "b.csv", "sentence,word,tag\nz,Ann,B-per\n"), data.data, data.encoders)
    other = reopen_tag(_file(tmp_path, "b.txt", "Ann\n"), data.data, data.encoders, answers=False)
    assert same.tokens(0) == other.tokens(0) == ["Ann"]
    assert (same.batch(np.array([0])).inputs.data == other.batch(np.array([0])).inputs.data).all()


def test_tokens_seen_once_stand_last_and_are_known_where_asked(tmp_path: Path) -> None:
    sentences = ["Route O\n66 O\n55 O\n@jo B-x\n", "@ann O\nsees O\nhttp://a.b O\nWWW.c.d O\nroute O\n"] * 500
    path = _file(tmp_path, "a.conll", "\n".join([*sentences, "once B-x\n77 O\n", "twice O\n"]))
    options = {"task": "tag", "split": "1,0,0"}
    known = ("00", "@user", "http://", "route", "sees")
    usual = prepare_tag(path, settings_from(options).data).encoders
    assert usual.vocabulary is not None and usual.vocabulary.tokens == known and usual.singles == 0
    asked = prepare_tag(path, settings_from({**options, "unknown": 0.5}).data)
    assert asked.encoders.vocabulary is not None
    assert asked.encoders.vocabulary.tokens == (*known, "once", "twice") and asked.encoders.singles == 2
    # Numbers begin behind those of padding and of unknown tokens.
    assert asked.train.batch(np.array([1000])).inputs.data[0, :, 0].tolist() == [7, 2]


def test_lines_of_text_are_told_from_columns_between_blanks(tmp_path: Path) -> None:
    asked = settings_from({"task": "tag", "format": "conll"}).data

    def tokens(text: str) -> list[list[str]]:
        records = read_tokens(_file(tmp_path, "new.txt", text), asked, answers=False)
        return [[token for token, _ in each] for each in _sentences(records)]

    assert tokens("she sings\nhe came too\n") == [["she", "sings"], ["he", "came", "too"]]
    assert tokens("she sings a song\n") == [["she", "sings", "a", "song"]], "a file of one token says so in one column"
    assert tokens("she O\nsings O\n\nhe O\n") == [["she", "sings"], ["he"]]
    assert tokens("she\nsings\n") == [["she", "sings"]]
