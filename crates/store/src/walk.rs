//! Lists are walks through an index with a budget: a combination of filters cannot always have an index of its own, so a
//! call looks at a bounded number of rows, and says where it stopped.

/// Number of rows that a call of a list looks at where it does not return more.
const ROWS_WALKED: usize = 1_000;

/// Number of rows that a call of a list looks at, about, to find up to `limit`: an index is walked in the order of the list,
/// and what the other conditions leave out is looked at too. Of executions that have not ended as many more, queued ones and
/// running ones: they are few, but where none of them matches they may be more than a share of this.
#[must_use]
pub fn rows_walked(limit: usize) -> usize {
    ROWS_WALKED.max(limit)
}

/// What a call of a list found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked<T, P> {
    /// In the order of the list. No row before the end of these, or before `stopped`, is missing.
    pub rows: Vec<T>,
    /// The position that the walk had come to when its budget was spent: go on after it. Absent where there are as many
    /// rows as were asked for, or where the list ends with them.
    pub stopped: Option<P>,
}

impl<T, P> Walked<T, P> {
    /// A list that was walked to its end.
    #[must_use]
    pub const fn whole(rows: Vec<T>) -> Self {
        Self { rows, stopped: None }
    }

    /// The same walk, with other rows.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Walked<U, P> {
        Walked { rows: self.rows.into_iter().map(change).collect(), stopped: self.stopped }
    }
}
