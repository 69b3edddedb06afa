//! Texts, and what in them is taken for a variable of another engine.

use serde_json::json;

use super::bounds::{full, soon};
use super::text;
use crate::Template;
use prompt_ledger_domain::limits;

/// What the warnings name, in their order.
fn named(source: &str) -> Vec<String> {
    assert!(Template::parse(source).is_ok(), "{source}");
    let warnings = Template::warnings(source);
    warnings.iter().flat_map(|warning| warning.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn variables_of_other_engines_are_named_and_other_braces_are_not() {
    for (source, expected) in [
        // Each form, and where it can stand.
        ("Dear {first}", "{first}"),
        ("{first} {last}, born in {user.birth_place} ({items[0].id}, {größe})", "{first} {last} {user.birth_place}"),
        ("Q:{question}\nA: \"{answer}\" /users/{id}.", "{question} {answer} {id}"),
        ("你好{name}!", "{name}"),
        ("Hi {{name}}, {{greeting}}{place}", "{place}"),
        ("{a} {a} {b} {a}", "{a} {b}"),
        ("Hello ${name}, ${order.total}", "${name} ${order.total}"),
        ("{\"user\": \"${name}\"}", "${name}"),
        ("Hello #{name}", "#{name}"),
        ("Hello [[name]], [[ user.city ]]", "[[name]] [[ user.city ]]"),
        ("[[name]]\nHello", "[[name]]"),
        ("Hello %(name)s, %(count)03d of %(price).2f", "%(name)s %(count)03d %(price).2f"),
        (r"C:\{{dir}}\a", r"\{{dir}}"),
        (r"\{{ user.name }} and {{x}}", r"\{{ user.name }}"),
        ("{a} ${b} #{c} [[d]] %(e)s \\{{f}}", "{a} ${b} #{c} [[d]] %(e)s \\{{f}}"),
        ("Answer within \\boxed{}.\n{question}", "{question}"),
        ("Between \\begin{answer} and \\end{answer}: {question}", "{question}"),
        ("A lone { or \\{ hides no {name}", "{name}"),
        ("It costs $5 or ${price}, not $6", "${price}"),
        ("Hello ${name}, please pay 5$.", "${name}"),
        ("From $5 for {name} to 6$", "{name}"),
        ("A ${x} of ", "${x}"),
        ("{{! {comment} ${comment} }}", ""),
        // JSON and what is written like it.
        (r#"{"a": {"b": 1}}"#, ""),
        (r#"Answer as {"answer": "{your_answer}", "sources": ["{url}"]}"#, ""),
        (r#"{"paths": {"/users/{id}": {"get": {}}}}"#, ""),
        ("[[1, 2], [3]] [[true]] [[null]] [[\"a\"]] {} []", ""),
        (r#"{"$ref": "\#/a", "$id": "b", "pattern": "^[a-z]{n}$"}"#, ""),
        ("{\n  \"user\": {{json user}},\n  \"n\": {{n}}\n}", ""),
        ("{user: {name, id}} {a: 1} {1} {a b} {a,b}", ""),
        ("[[bin]]\nname = \"x\"\n\n[[bin.args]]\n\n  key=1", ""),
        // CSS and code.
        ("a{color:red} .b > c { margin: 0 } #main{top:0} @media print{a{color:red}}", ""),
        ("a:hover::before{content:\"{x}\"} @keyframes k{from{top:0}to{top:1px}}", ""),
        ("#{$var} \\${name} \\#{name} $${NAME} ${} ${a b} ${a:-b} #{} #{1}", ""),
        ("if(x)return{y}; a[i]{n} f(x){y} x[[name]] [[name]](link)", ""),
        ("query { user { name } } x{n} %(name) %(a b)s %(a)y %(a)sx 5 %(a", ""),
        // LaTeX.
        ("as in Figure~{x} and Table~{y}", ""),
        (r"\frac{a}{b} \frac {a} {b} \sqrt[n]{x} \textbf{name} \section*{Intro}", ""),
        (r"x_{i}^{n} {\bf name} {\em x}{y} \left\{a\right\}", ""),
        (r"\newcommand{\vect}[1]{\mathbf{#1}} \def\a#1{b}", ""),
        ("\\begin{center}\n{Title}\n\\end{center}", ""),
        (r"\[ {a} \over {b} \] and \( {n} \) and $$ {m} $$", ""),
        (r"Let ${x}^2$, ${n}$, $a = {b}$ and $f({x})$ be given", ""),
        (r"Let $\alpha_{i} = \sin {x} \text{if any}$ and $ {n}$", "{n}"),
        (&format!("${{x}} + {}$", "x + ".repeat(40)), "${x}"),
        ("@article{knuth,\n title = {TeX},\n year={Year}\n}", ""),
        (r"\documentclass[a4paper]{article} \usepackage{amsmath} \item[x] {y}", ""),
        (r"\textbf{{{name}}} \cmd{{x}}", ""),
    ] {
        assert_eq!(named(source).join(" "), expected, "{source}");
    }
}

#[test]
fn a_warning_says_what_is_meant_and_what_to_write() {
    for (source, expected) in [
        (
            "Dear {first} {last}",
            "the template holds `{first}`, `{last}`, which looks like f-strings or str.format; to \
             Handlebars it is plain text, and a variable is written {{first}}",
        ),
        (
            "{a} {b} {c} {d} {a} {e}",
            "the template holds `{a}`, `{b}`, `{c}` and 2 more, which looks like f-strings or str.format; \
             to Handlebars it is plain text, and a variable is written {{a}}",
        ),
        (
            "C:\\{{dir}}",
            "the template holds `\\{{dir}}`, which its backslash makes plain text; a variable behind a backslash is \
             written \\\\{{dir}}",
        ),
        ("{% if %}", "the template holds `{%`, which looks like Jinja or Liquid; to Handlebars it is plain text"),
    ] {
        assert_eq!(Template::warnings(source), [expected]);
    }
    assert_eq!(text("C:\\{{dir}} C:\\\\{{dir}}", &json!({"dir": "d"})), "C:{{dir}} C:\\d");
    assert!(Template::warnings("{{> not a template").is_empty());
    let name = "n".repeat(limits::VARIABLE_NAME_BYTES);
    assert_eq!(named(&format!("{{{name}}}")).len(), 1);
    assert!(named(&format!("{{{name}n}}")).is_empty());
}

#[test]
fn warnings_are_found_soon() {
    for piece in [
        "{",
        "}",
        "$",
        "$a",
        "{a}",
        "${a}",
        "[[",
        "[[a]]\n",
        "\\[",
        "\\]",
        "\\begin{a}",
        "\\end{a}",
        "%(",
        "$$",
        "\\a[",
        "\\{{",
    ] {
        let source = full(piece);
        // A search of the rest of the source for each of them would take minutes.
        soon(piece, || drop(Template::warnings(&source)));
        assert!(Template::warnings(&source).iter().all(|warning| warning.len() < 1_000));
    }
}

#[test]
fn an_end_of_a_comment_that_is_none_is_told() {
    assert_eq!(Template::warnings("{{!-- a --~}} {{x}} {{!-- b --}}").len(), 1);
    assert!(Template::warnings("{{!-- a --}} {{x~}} {{!-- b --}}").is_empty());
}
