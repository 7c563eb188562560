//! What the programs in the image try against the system.
//!
//! `app-test list` names its tests, one a line; `app-test NAME` runs one and ends with 0 when
//! the system answered as documented. Each becomes a test here; all share one boot, which has
//! to live through them all.

use crate::runner::{BootPlan, Unit};

/// One boot for every test the program lists.
pub fn units() -> Vec<Unit> {
    let mut plan = BootPlan::new(|context, _| Ok(context.direct()));
    plan.discover = Some("app-test".into());
    vec![plan.unit("inside")]
}
