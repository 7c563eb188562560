//! A result, and how it is printed.

use alloc::format;
use alloc::string::String;

/// What the kernel counts, and the time-stamp counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Time-stamp counter.
    pub tsc: u64,
    /// Kernel entries.
    pub entries: u64,
    /// Page-table root loads.
    pub loads: u64,
    /// TLB flushes.
    pub flushes: u64,
}

impl Sample {
    /// Adds another's.
    pub fn add(&mut self, other: &Sample) {
        self.tsc = self.tsc.saturating_add(other.tsc);
        self.entries = self.entries.saturating_add(other.entries);
        self.loads = self.loads.saturating_add(other.loads);
        self.flushes = self.flushes.saturating_add(other.flushes);
    }

    /// What happened since `before`.
    pub fn since(&self, before: &Sample) -> Sample {
        Sample {
            tsc: self.tsc.saturating_sub(before.tsc),
            entries: self.entries.saturating_sub(before.entries),
            loads: self.loads.saturating_sub(before.loads),
            flushes: self.flushes.saturating_sub(before.flushes),
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// All of it together.
    pub total: Sample,
    /// How often it was done.
    pub count: u64,
    /// What it may cost at most.
    pub bound: Bound,
    /// Of that, copying or zeroing alone; 0 where there is none.
    pub copy: u64,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Anything.
    None,
    /// At most this, always.
    Limit(u64),
    /// This is to be reached; once it is, no more than it.
    Target(u64),
}

impl Row {
    /// What one costs, rounded to the nearest whole.
    pub fn value(&self) -> u64 {
        self.total.tsc.saturating_add(self.count / 2).checked_div(self.count).unwrap_or(0)
    }

    /// The same row, with what it is to reach.
    pub fn to_reach(self, target: u64) -> Row {
        Row { bound: Bound::Target(target), ..self }
    }

    /// The same row, of which so much is copying or zeroing, with what the rest is to reach.
    pub fn beside_copy(self, copy: u64, target: u64) -> Row {
        Row { copy, ..self }.to_reach(copy.saturating_add(target))
    }

    /// The JSON, without an end of line. Counts are rounded to the nearest whole: taking the counters costs a few itself.
    pub fn json(&self) -> String {
        let each = |n: u64| n.saturating_add(self.count / 2).checked_div(self.count).unwrap_or(0);
        let bound = match self.bound {
            Bound::None => String::new(),
            Bound::Limit(n) => format!(",\"limit\":{n}"),
            Bound::Target(n) => format!(",\"target\":{n}"),
        };
        let copy = if self.copy == 0 { String::new() } else { format!(",\"copy\":{}", self.copy) };
        format!(
            "{{\"name\":\"{}\",\"value\":{},\"unit\":\"instructions\",\"cr3_loads\":{},\"kernel_entries\":{},\"tlb_flushes\":{}{copy}{bound}}}",
            self.name,
            self.value(),
            each(self.total.loads),
            each(self.total.entries),
            each(self.total.flushes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Row, Sample};

    #[test]
    fn a_row_is_the_mean_and_forgives_the_cost_of_counting() {
        let before = Sample { tsc: 1000, entries: 5, loads: 7, flushes: 0 };
        let after = Sample { tsc: 101_000, entries: 1017, loads: 2010, flushes: 3 };
        let row = Row { name: "x", total: after.since(&before), count: 1000, bound: Bound::Limit(150), copy: 0 };
        assert_eq!(
            row.json(),
            "{\"name\":\"x\",\"value\":100,\"unit\":\"instructions\",\"cr3_loads\":2,\"kernel_entries\":1,\"tlb_flushes\":0,\"limit\":150}"
        );
        let row = row.beside_copy(40, 50);
        assert!(row.json().ends_with("\"tlb_flushes\":0,\"copy\":40,\"target\":90}"));
    }
}
