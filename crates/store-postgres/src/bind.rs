//! Values to parameters: an array per column.

use std::borrow::Cow;
use std::time::Duration;

pub(super) use super::row::without_nul as clean;

/// The longest time that is told to the database, in microseconds: a hundred years and more. It keeps every moment
/// within what a timestamp holds, and every length exact as a double.
const LONGEST: u128 = 4_000_000_000_000_000;

/// One column of a batch.
macro_rules! each {
    ($items:expr, |$item:ident| $value:expr) => {
        $items.iter().map(|$item| $value).bind_iter()
    };
}
pub(super) use each;

/// As [`clean`], of a text that may be absent.
pub(super) fn maybe_clean(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(clean)
}

/// A length of time in microseconds.
pub(super) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros().min(LONGEST)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_is_replaced() {
        assert_eq!(clean("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(clean("abc"), Cow::Borrowed("abc")));
        assert_eq!((maybe_clean(None), maybe_clean(Some("\0")).as_deref()), (None, Some("\u{fffd}")));
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(micros(Duration::from_millis(2)), 2_000);
        assert_eq!(micros(Duration::MAX), 4_000_000_000_000_000);
    }
}
