//! The FADT: ports of the fixed hardware (ACPI 6.4, 5.2.9).

use super::table::Table;

/// What the FADT says. 0 is "not there".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fixed {
    /// Physical address of the DSDT.
    pub dsdt: u64,
    /// Port of PM1a control.
    pub pm1a_control: u16,
    /// Port of PM1b control.
    pub pm1b_control: u16,
    /// Port of the PM timer.
    pub pm_timer: u16,
    /// Whether the PM timer counts 32 bits rather than 24.
    pub pm_timer_is_wide: bool,
    /// Port and value that switch ACPI mode on.
    pub enable: Option<(u16, u8)>,
    /// Port and value that reset the machine.
    pub reset: Option<(u16, u8)>,
}

const FLAG_TIMER_WIDE: u64 = 1 << 8;
const FLAG_RESET: u64 = 1 << 10;
const SPACE_IO: u64 = 1;

/// The port in a 32-bit field, or in the generic address (space, 3 bytes, address) of later revisions.
fn port(table: &Table, short: u64, long: u64) -> u16 {
    let old = table.number(short, 4).unwrap_or(0);
    let new = match (table.number(long, 1), table.number(long.saturating_add(4), 8)) {
        (Some(SPACE_IO), Some(address)) => address,
        _ => 0,
    };
    u16::try_from(if old != 0 { old } else { new }).unwrap_or(0)
}

/// Reads a FADT, of whatever revision: fields past its end are not there.
pub fn read(table: &Table) -> Fixed {
    let number = |at: u64, width: u64| table.number(at, width).unwrap_or(0);
    let flags = number(112, 4);
    let wide_dsdt = number(140, 8);
    let (command, value) = (number(48, 4), number(52, 1) as u8);
    let reset_port = u16::try_from(number(120, 8)).unwrap_or(0);
    let can_reset = flags & FLAG_RESET != 0 && number(116, 1) == SPACE_IO && reset_port != 0;
    Fixed {
        dsdt: if wide_dsdt != 0 { wide_dsdt } else { number(40, 4) },
        pm1a_control: port(table, 64, 172),
        pm1b_control: port(table, 68, 184),
        pm_timer: port(table, 76, 208),
        pm_timer_is_wide: flags & FLAG_TIMER_WIDE != 0,
        enable: u16::try_from(command).ok().filter(|port| *port != 0 && value != 0).map(|port| (port, value)),
        reset: can_reset.then(|| (reset_port, number(128, 1) as u8)),
    }
}
