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
    pub limit: Option<u64>,
}

impl Row {
    /// The JSON line. Counts are rounded to the nearest whole: taking the counters costs a few itself.
    pub fn json(&self) -> String {
        let each = |n: u64| n.saturating_add(self.count / 2).checked_div(self.count).unwrap_or(0);
        let limit = self.limit.map(|l| format!(",\"limit\":{l}")).unwrap_or_default();
        format!(
            "{{\"name\":\"{}\",\"value\":{},\"unit\":\"instructions\",\"cr3_loads\":{},\"kernel_entries\":{},\"tlb_flushes\":{}{limit}}}\n",
            self.name,
            each(self.total.tsc),
            each(self.total.loads),
            each(self.total.entries),
            each(self.total.flushes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Sample};

    #[test]
    fn a_row_is_the_mean_and_forgives_the_cost_of_counting() {
        let before = Sample { tsc: 1000, entries: 5, loads: 7, flushes: 0 };
        let after = Sample { tsc: 101_000, entries: 1017, loads: 2010, flushes: 3 };
        let row = Row { name: "x", total: after.since(&before), count: 1000, limit: Some(150) };
        assert_eq!(
            row.json(),
            "{\"name\":\"x\",\"value\":100,\"unit\":\"instructions\",\"cr3_loads\":2,\"kernel_entries\":1,\"tlb_flushes\":0,\"limit\":150}\n"
        );
    }
}
