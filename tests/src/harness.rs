//! What all runners of cases share: how a stage that failed is told from a verdict that is wrong, and what follows from each.
//!
//! A case sets a stage up (containers, clients, captures, a cluster), does something on it, and judges what the agent says.
//! On a busy machine the *stage* may fail: a client that starts too late, a slow `kubectl`, a program that is not ready. Nobody
//! has judged the agent then, so the stage is set up once more, alone. A *verdict* that is wrong stays wrong: it is never tried
//! again.
//!
//! An error is the stage's, unless it says that it is about the agent: [`WrongVerdict`], [`claim!`](crate::claim), [`OrWrong`].

mod ending;
mod once_more;
mod wrong_verdict;

pub use ending::{Disagreements, Ending, Judged, Tried, attempt};
pub use once_more::{FAILED_STAGES_MAX, FailedStage, Played, STAGE_FAILED, set_up_once_more};
pub use wrong_verdict::{OrWrong, WrongVerdict, is_wrong_verdict};
