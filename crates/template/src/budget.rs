//! The cost of a rendering in steps, and its limit. The same template and variables take the same steps on every
//! machine, so they are always rendered or always refused.
//!
//! | work | steps |
//! |---|---|
//! | a node of the template, each time it is visited, and each iteration of a block | 1 |
//! | a name looked up in an object | 1 for each key that it is compared with (log2), and 1 more per 64 bytes of the name |
//! | text printed | 1 per 64 bytes; of JSON also 1 for each fragment |
//! | a fault | 8, and 1 for each name in its path |

use prompt_ledger_domain::error::{Error, Reason};
use prompt_ledger_domain::limits;

/// Number of bytes compared, scanned or copied per step.
const STEP_BYTES: usize = 64;
/// Number of steps between two calls of `go_on`: less than a millisecond in an optimised build.
pub(super) const CHECK_INTERVAL: usize = 16_384;

/// A computation was stopped by its `go_on` before it had a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

pub(super) enum BudgetStop {
    /// [`limits::RENDER_STEPS`] are spent.
    Refused(Error),
    /// `go_on` returned false.
    Interrupted,
}

pub(super) struct StepBudget<'a> {
    spent: usize,
    /// The number of spent steps at which `go_on` is called next.
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

    /// Takes steps, before the work that they stand for is done.
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

pub(super) fn steps_of(bytes: usize) -> usize {
    bytes / STEP_BYTES
}

fn too_large() -> Error {
    let most = limits::RENDER_STEPS;
    let message = format!("rendering takes more than {most} steps; send shorter lists, or nest fewer #each");
    Error::new(Reason::TooLarge, message)
}
