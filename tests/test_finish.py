"""The last touch to a built page: what a browser need not be asked about."""

from genlab.course.finish import finish


def test_names_and_signs_in_code_lose_their_spans_and_the_text_stays(tmp_path):
    page = tmp_path / "page.html"
    code = '<span class="n">x</span><span class="w"> </span><span class="o">&lt;</span>'
    page.write_text(f'<pre>{code}<span class="p">(</span><span class="nn">a.b</span></pre>')
    finish(page)
    assert page.read_text() == '<pre>x <span class="o">&lt;</span>(a.b</pre>'


def test_other_spans_stay(tmp_path):
    page = tmp_path / "page.html"
    text = '<span class="pre">x</span><span class="n"><b>y</b></span><span class="p q">z</span>'
    page.write_text(text)
    finish(page)
    assert page.read_text() == text
