//! Names the linker script when the program is built for the machine itself.

include!("../scheme/link.inc");
