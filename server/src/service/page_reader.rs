//! Pages of lists: read by keyset, bounded in rows and bytes, continued by a token.

use prompt_ledger_domain::page::{self, PageScope};
use prompt_ledger_domain::{Result, limits};
use prompt_ledger_store::Walked;

/// How many rows the first read of a page fetches, and any further read at most: their size is known only once they
/// are read.
const FIRST_CHUNK: usize = 16;
const MOST_AT_ONCE: usize = 64;

/// A page of a list, read by keyset.
pub struct PageReader {
    scope: PageScope,
    size: usize,
    after: Option<String>,
}

impl PageReader {
    /// A page of the list with this scope, after the row that `token` names. PAGE_TOKEN_INVALID where the token is of
    /// another list.
    pub fn new(scope: &[&str], page_size: i32, token: &str) -> Result<Self> {
        let size = page::size(page_size)?;
        let scope = PageScope::of(scope);
        let after = scope.key(token)?;
        Ok(Self { scope, size, after })
    }

    /// Reads the page's rows, and the token of the next page, which is empty on the last. `fetch` returns up to so
    /// many rows after a key. The page ends at its size, or early at 2 MiB; it has at least one row where there is
    /// one.
    pub async fn read<T, F>(
        self,
        mut fetch: impl FnMut(Option<String>, usize) -> F,
        bytes: impl Fn(&T) -> usize,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, String)>
    where
        F: Future<Output = Result<Vec<T>>>,
    {
        let walked = |after, limit| {
            let found = fetch(after, limit);
            async { found.await.map(Walked::whole) }
        };
        self.walk(walked, bytes, key).await
    }

    /// As [`PageReader::read`], of a list in which `fetch` may stop before it has found enough. The page ends there, maybe
    /// without a row, and the next one goes on.
    pub async fn walk<T, F>(
        self,
        mut fetch: impl FnMut(Option<String>, usize) -> F,
        bytes: impl Fn(&T) -> usize,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, String)>
    where
        F: Future<Output = Result<Walked<T, String>>>,
    {
        let (mut rows, mut held, mut chunk, mut after) = (Vec::new(), 0, FIRST_CHUNK, self.after);
        loop {
            // One more than fit, to know whether this is the last page.
            let wanted = chunk.min(self.size + 1 - rows.len());
            let Walked { rows: found, stopped } = fetch(after, wanted).await?;
            let ended = found.len() < wanted;
            after = rows.last().map(&key);
            for row in found {
                held += bytes(&row);
                if rows.len() == self.size || (held > limits::PAGE_BYTES && !rows.is_empty()) {
                    return Ok((rows, after.map(|key| self.scope.token(&key)).unwrap_or_default()));
                }
                after = Some(key(&row));
                rows.push(row);
            }
            if ended {
                return Ok((rows, stopped.map(|key| self.scope.token(&key)).unwrap_or_default()));
            }
            // As many as should fit, by the mean size of the rows so far.
            let weight = (held / rows.len().max(1)).max(1);
            chunk = (limits::PAGE_BYTES.saturating_sub(held) / weight).clamp(1, MOST_AT_ONCE);
        }
    }

    /// As [`PageReader::read`], for small rows that must be of one point in time: by a single call of `fetch`.
    pub async fn read_at_once<T, F>(
        self,
        fetch: impl FnOnce(Option<String>, usize) -> F,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, String)>
    where
        F: Future<Output = Result<Vec<T>>>,
    {
        let mut rows = fetch(self.after, self.size + 1).await?;
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        let last = rows.last().filter(|_| more).map(|row| self.scope.token(&key(row)));
        Ok((rows, last.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_ends_at_its_size_or_at_its_bytes_and_the_last_has_no_token() {
        let mib = 1024 * 1024;
        for (size, rows, row_bytes, expected) in [
            (2, 3, 1, 2),
            (3, 3, 1, 3),
            (500, 600, 1, 500),
            (500, 300, 1, 300),
            (9, 3, mib, 2),
            (9, 3, 3 * mib, 1),
            (9, 0, 1, 0),
        ] {
            let fetch = |after: Option<String>, limit: usize| async move {
                let start = after.map_or(0, |key| key.parse::<usize>().unwrap() + 1);
                Ok((start..rows).take(limit).collect::<Vec<usize>>())
            };
            let page = PageReader::new(&["list"], size, "").unwrap();
            let scope = page.scope.clone();
            let (read, token) = page.read(fetch, |_| row_bytes, ToString::to_string).await.unwrap();
            assert_eq!(read, (0..expected).collect::<Vec<_>>());
            let more = expected < rows;
            assert_eq!(scope.key(&token).unwrap(), more.then(|| (expected - 1).to_string()));
        }
    }

    #[tokio::test]
    async fn a_page_ends_where_a_walk_stopped_and_its_token_goes_on_from_there() {
        // Of the numbers below 1,000 a walk finds those that `every` divides, and looks at 100 numbers.
        let pages = async |size, every: usize| {
            let (mut all, mut lengths, mut token) = (Vec::new(), Vec::new(), String::new());
            loop {
                let fetch = |after: Option<String>, limit: usize| async move {
                    let start = after.map_or(0, |key| key.parse::<usize>().unwrap() + 1);
                    let end = (start + 100).min(1_000);
                    let rows: Vec<_> = (start..end).filter(|number| number % every == 0).take(limit).collect();
                    let stopped = (rows.len() < limit && end < 1_000).then(|| (end - 1).to_string());
                    Ok(Walked { rows, stopped })
                };
                let page = PageReader::new(&["list"], size, &token).unwrap();
                let (read, next) = page.walk(fetch, |_| 1, ToString::to_string).await.unwrap();
                lengths.push(read.len());
                all.extend(read);
                token = next;
                if token.is_empty() {
                    assert_eq!(all, (0..1_000).filter(|number| number % every == 0).collect::<Vec<_>>());
                    return lengths;
                }
            }
        };
        assert_eq!(pages(50, 400).await, [1, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(pages(500, 1).await, [500, 500]);
        assert_eq!(pages(3, 60).await.iter().sum::<usize>(), 17);
    }
}
