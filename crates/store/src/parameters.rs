//! Named SQL parameters. A statement's text says `:name`; each database's `parameters!` declares once and in order which
//! parameters there are and which values they take, and their numbers follow from that order. In builds with debug assertions
//! a name that only the text or only the declaration has panics when the statement is composed.

/// Replaces each `:name` in `sql` by `$1`, `$2`, ... in the order of `names`. Casts (`::`) are left as they are.
#[must_use]
pub fn numbered(sql: &str, names: &[&str]) -> String {
    let mut used = vec![false; names.len()];
    let text = replaced(sql, |name| {
        let place = names.iter().position(|known| *known == name);
        debug_assert!(place.is_some(), "no parameter is called {name}: {sql}");
        used[place?] = true;
        Some(format!("${}", place? + 1))
    });
    debug_assert!(used.iter().all(|used| *used), "a parameter is not used, of {names:?}: {sql}");
    text
}

/// Replaces each `:rows` by what `column` returns for the column names in the parentheses that follow it, as in
/// `unnest(:rows) AS n (id, status)`.
#[must_use]
pub fn with_rows(sql: &str, column: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = sql.split(":rows");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let names = part.split_once('(').and_then(|(_, after)| after.split_once(')')).map_or("", |(names, _)| names);
        let columns: Vec<_> = names.split(',').filter_map(|name| column(name.trim())).collect();
        text.push_str(&columns.join(", "));
        text.push_str(part);
    }
    text
}

/// Replaces each `:name` for which `value` returns something.
fn replaced(sql: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let (mut text, mut rest) = (String::with_capacity(sql.len()), sql);
    while let Some((before, after)) = rest.split_once(':') {
        text.push_str(before);
        let end = after.find(|letter| !is_of_name(letter)).unwrap_or(after.len());
        let (name, next) = after.split_at(end);
        if let Some(cast) = after.strip_prefix(':') {
            text.push_str("::");
            rest = cast;
            continue;
        }
        match value(name) {
            Some(value) => text.push_str(&value),
            None => {
                text.push(':');
                text.push_str(name);
            }
        }
        rest = next;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_in_the_order_of_the_declaration() {
        let sql = "SELECT :b::int4, a::text FROM x WHERE c = :a AND d = :b";
        assert_eq!(numbered(sql, &["a", "b"]), "SELECT $2::int4, a::text FROM x WHERE c = $1 AND d = $2");
    }

    #[test]
    #[should_panic(expected = "no parameter is called b")]
    fn a_name_that_is_not_declared_is_found() {
        let _ = numbered("SELECT :a, :b", &["a"]);
    }

    #[test]
    #[should_panic(expected = "a parameter is not used")]
    fn a_parameter_that_no_text_uses_is_found() {
        let _ = numbered("SELECT :a", &["a", "b"]);
    }

    #[test]
    fn rows_are_those_that_are_named_after_them() {
        let sql = "SELECT * FROM unnest(:rows) AS n (id,\n  word) JOIN unnest(:rows) AS m (id)";
        let text = with_rows(sql, |column| Some(format!(":{column}::text[]")));
        assert_eq!(
            numbered(&text, &["id", "word"]),
            "SELECT * FROM unnest($1::text[], $2::text[]) AS n (id,\n  word) JOIN unnest($1::text[]) AS m (id)"
        );
    }
}
