//! The query of a request.

use std::collections::BTreeMap;

use prompt_ledger_domain::Result;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;
use utoipa::IntoParams;

use super::call::misread;
use super::streams::{FeedQuery, WatchQuery};
use super::types::execution_requests::{ExecutionQuery, ExecutionsQuery};
use super::types::model::ModelsQuery;
use super::types::prompt_reads::{ChangesQuery, EventsQuery, HistoryQuery, PageQuery, PromptsQuery, VersionQuery};
use super::types::prompt_requests::WriterQuery;
use super::types::usage::{AnalyticsQuery, UsageQuery};

/// Words separated by commas.
#[derive(Debug)]
pub(crate) struct Words<T>(pub(crate) Vec<T>);

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = String::deserialize(deserializer)?;
        let words = sent.split(',').filter(|word| !word.is_empty());
        words.map(|word| T::deserialize(word.into_deserializer())).collect::<Result<_, _>>().map(Self)
    }
}

/// A query; a parameter that it does not know, or that is sent twice, is refused.
pub(crate) trait Query: DeserializeOwned + Default + IntoParams + Send {
    /// Where parameters `metadata.KEY` go; absent where the query has none.
    fn metadata(&mut self) -> Option<&mut BTreeMap<String, String>> {
        None
    }

    /// Where the parameters `name` go, of a query that takes several of them; absent where it does not.
    fn names(&mut self) -> Option<&mut Vec<String>> {
        None
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NoQuery {}

macro_rules! queries {
    ($($query:ident,)*) => {$( impl Query for $query {} )*};
}

queries! {
    NoQuery, AnalyticsQuery, ChangesQuery, ExecutionQuery, FeedQuery, HistoryQuery, ModelsQuery, PageQuery, PromptsQuery, UsageQuery,
    VersionQuery, WatchQuery, WriterQuery,
}

impl Query for ExecutionsQuery {
    fn metadata(&mut self) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut self.metadata)
    }
}

impl Query for EventsQuery {
    fn names(&mut self) -> Option<&mut Vec<String>> {
        Some(&mut self.name)
    }
}

const METADATA: &str = "metadata.";
const NAME: &str = "name";

/// Reads a query; INVALID_FIELD names the parameter that is wrong.
pub(crate) fn read<Q: Query>(sent: Option<&str>) -> Result<Q> {
    let sent = sent.unwrap_or_default();
    if sent.contains(NAME) && Q::default().names().is_some() {
        return named(sent);
    }
    if !sent.contains(METADATA) {
        return plain(sent);
    }
    let pairs = || form_urlencoded::parse(sent.as_bytes());
    let (mut metadata, mut others) = (Vec::new(), form_urlencoded::Serializer::new(String::new()));
    for (name, value) in pairs() {
        match name.strip_prefix(METADATA) {
            Some(key) => metadata.push((key.to_owned(), value.into_owned())),
            None => drop(others.append_pair(&name, &value)),
        }
    }
    let mut query: Q = plain(&others.finish())?;
    match query.metadata() {
        Some(kept) => {
            for (key, value) in metadata {
                if kept.insert(key.clone(), value).is_some() {
                    return Err(misread(&format!("{METADATA}{key}"), "is sent twice; send it once"));
                }
            }
            Ok(query)
        }
        // Refused by its name, as any that is not known.
        None => plain(sent),
    }
}

/// Reads a query that takes several parameters `name`.
fn named<Q: Query>(sent: &str) -> Result<Q> {
    let (mut names, mut others) = (Vec::new(), form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(sent.as_bytes()) {
        match name == NAME {
            true => names.push(value.into_owned()),
            false => drop(others.append_pair(&name, &value)),
        }
    }
    let mut query: Q = plain(&others.finish())?;
    if let Some(kept) = query.names() {
        *kept = names;
    }
    Ok(query)
}

fn plain<Q: Query>(sent: &str) -> Result<Q> {
    let read = serde_urlencoded::Deserializer::new(form_urlencoded::parse(sent.as_bytes()));
    serde_path_to_error::deserialize(read)
        .map_err(|error| misread(&error.path().to_string(), &error.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Reason;

    fn wrong<Q: Query + std::fmt::Debug>(sent: &str) -> (String, String) {
        let error = read::<Q>(Some(sent)).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidField);
        let violation = error.parts().violations[0].clone();
        (violation.field, violation.description)
    }

    #[test]
    fn a_query_names_what_is_wrong_with_it() {
        for (sent, field, said) in [
            ("pagesize=3", "pagesize", "unknown field"),
            ("page_size=many", "page_size", "invalid digit"),
            ("page_size=1&page_size=2", "page_size", "duplicate field"),
            ("kinds=created,born", "kinds", "unknown variant `born`"),
            ("metadata.a=b", "metadata.a", "unknown field"),
        ] {
            let (named, description) = wrong::<ChangesQuery>(sent);
            assert_eq!(named, field, "{sent}");
            assert!(description.contains(said), "{description}");
        }
        assert_eq!(wrong::<ExecutionsQuery>("metadata.a=1&metadata.a=2").0, "metadata.a");
        assert_eq!(wrong::<ExecutionsQuery>("since=yesterday").0, "since");
    }

    #[test]
    fn metadata_is_taken_out_of_a_query_by_its_prefix() {
        let query: ExecutionsQuery =
            read(Some("metadata.user%20id=a%26b&status=failed,canceled&metadata.x=&prompt_name=greet")).unwrap();
        assert_eq!(query.metadata, BTreeMap::from([("user id".into(), "a&b".into()), ("x".into(), String::new())]));
        assert_eq!((query.status.0.len(), &*query.prompt_name), (2, "greet"));
        assert!(read::<ExecutionsQuery>(None).unwrap().metadata.is_empty());
    }

    #[test]
    fn names_may_be_several() {
        let query: EventsQuery = read(Some("name=a%2Eb&name_prefix=mail.&after_revision=7&name=c")).unwrap();
        assert_eq!(
            (query.name, &*query.name_prefix, query.after_revision),
            (vec!["a.b".into(), "c".into()], "mail.", Some(7))
        );
        assert!(read::<EventsQuery>(None).unwrap().name.is_empty());
        assert_eq!(wrong::<EventsQuery>("name=a&names=b").0, "names");
        assert_eq!(wrong::<EventsQuery>("name=a&after_revision=1&after_revision=2").0, "after_revision");
        assert_eq!(wrong::<ChangesQuery>("name=a").0, "name");
    }
}
