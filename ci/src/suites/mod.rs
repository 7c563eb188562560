//! The system tests, by what they look at; [`all`] is what `ci-tests` runs.
//!
//! - [`boot`]: the image through firmware, to the prompt on serial line and screen
//! - [`contract`]: `mk/run`'s promises, with the real system inside
//! - [`figures`]: what is promised in numbers
//! - [`files`]: FAT volumes read and written inside, judged by the host's tools
//! - [`corrupt`]: broken disks, which cost nobody but themselves
//! - [`processors`]: one to eight of them, against each other
//! - [`restart`]: the block driver killed under load
//! - [`services`]: what each service holds and sees, against its manifest
//! - [`security`]: what the policy keeps apart, and the record of it
//! - [`hostile`]: what the programs in the image try against the system
//! - [`roots`]: the same program in init's place, with all that init holds

pub mod boot;
pub mod contract;
pub mod corrupt;
pub mod figures;
pub mod files;
pub mod hostile;
pub mod processors;
pub mod restart;
pub mod roots;
pub mod security;
pub mod services;
pub mod volume;

use crate::runner::Unit;

/// The shell's prompt, as it stands on the console.
pub const PROMPT: &str = "limitless:/$ ";

/// Every system test. Long ones first: the short ones then fill the gaps at the end.
pub fn all() -> Vec<Unit> {
    let mut units = files::units();
    units.extend(restart::units());
    units.extend(processors::units());
    units.extend(boot::units());
    units.extend(hostile::units());
    units.extend(roots::units());
    units.extend(corrupt::units());
    units.extend(figures::units());
    units.extend(services::units());
    units.extend(security::units());
    units.extend(contract::units());
    units
}
