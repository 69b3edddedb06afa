//! What one rendering may cost, in steps. The same template and variables take the same steps on every machine, so they
//! are always rendered or always refused.
//!
//! | what | steps |
//! |---|---|
//! | a piece of the template, each time it is visited, and each round of a block | 1 |
//! | a name looked up in an object | 1 for each key that it is compared with (log2), and 1 more per 64 bytes of the name |
//! | text printed | 1 per 64 bytes; of JSON also 1 for each fragment |
//! | a fault | 8, and 1 for each name in its path |

use prompt_ledger_domain::error::{Error, Reason};
use prompt_ledger_domain::limits;

/// Bytes that are compared, scanned or copied for one step.
const STEP_BYTES: usize = 64;
/// Steps between two questions whether to go on: less than a millisecond of an optimised build.
pub(super) const CHECK_INTERVAL: usize = 16_384;

/// A computation was told to stop before it came to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Why a walk ends early.
pub(super) enum BudgetStop {
    /// Its input costs too much.
    Refused(Error),
    /// It was told to.
    Interrupted,
}

/// The steps of one rendering.
pub(super) struct StepBudget<'a> {
    spent: usize,
    /// At so many steps `go_on` is asked.
    next_check: usize,
    go_on: &'a dyn Fn() -> bool,
}

impl<'a> StepBudget<'a> {
    pub(super) fn new(go_on: &'a dyn Fn() -> bool) -> Self {
        Self { spent: 0, next_check: CHECK_INTERVAL, go_on }
    }

    pub(super) fn spent(&self) -> usize {
        self.spent
    }

    /// Takes steps; spent before the work is done.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), BudgetStop> {
        self.spent = self.spent.saturating_add(steps);
        if self.spent > limits::RENDER_STEPS {
            return Err(BudgetStop::Refused(too_large()));
        }
        if self.spent >= self.next_check {
            self.next_check = self.spent + CHECK_INTERVAL;
            if !(self.go_on)() {
                return Err(BudgetStop::Interrupted);
            }
        }
        Ok(())
    }
}

/// The steps that so many bytes add.
pub(super) fn steps_of(bytes: usize) -> usize {
    bytes / STEP_BYTES
}

fn too_large() -> Error {
    let most = limits::RENDER_STEPS;
    let message = format!("rendering takes more than {most} steps; send shorter lists, or nest fewer #each");
    Error::new(Reason::TooLarge, message)
}
