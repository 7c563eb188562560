//! Names the linker script when built for the machine.
include!("../../schemes/scheme/link.inc");
