//! Every documented error of a kernel call is provoked by some host test.
//!
//! Host tests leave what the kernel answered in a folder (`kernel_core::pairs`). A pair that is documented and was
//! not seen lacks its test; one that was seen and is not documented lacks its row, or is a fault.

use std::collections::BTreeSet;
use std::path::Path;

use abi::call::Call;
use abi::error::Error;

/// A call and an error that it answers with.
pub type Pair = (Call, Error);

/// Calls that are not made yet: they have no rows, and answer `NotSupported`.
pub const STUBS: &[Call] = &[];

/// All pairs that the rows document, those of stubs left out.
pub fn documented(stubs: &[Call]) -> BTreeSet<Pair> {
    let calls = Call::ALL.iter().filter(|call| !stubs.contains(call));
    calls.flat_map(|call| abi::refusal::pairs(*call).map(move |error| (*call, error))).collect()
}

/// The pairs in a folder's files. A line that names none is an error.
pub fn recorded(folder: &Path) -> Result<BTreeSet<Pair>, String> {
    let mut pairs = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for line in text.lines() {
            pairs.insert(pair(line).ok_or_else(|| format!("{}: no pair: {line}", path.display()))?);
        }
    }
    Ok(pairs)
}

fn pair(line: &str) -> Option<Pair> {
    let (call, error) = line.split_once(' ')?;
    let call = Call::ALL.iter().find(|c| c.name() == call)?;
    Some((*call, *Error::ALL.iter().find(|e| e.name() == error)?))
}

/// What is wrong, a line each: pairs without a test, pairs without a row, stubs that are none.
pub fn faults(documented: &BTreeSet<Pair>, recorded: &BTreeSet<Pair>, stubs: &[Call]) -> Vec<String> {
    let untested = documented.difference(recorded).map(|(c, e)| format!("no host test provokes: {} {e:?}", c.name()));
    let strange = recorded.difference(documented).filter_map(|(call, error)| {
        if !stubs.contains(call) {
            return Some(format!("not documented: {} {error:?}", call.name()));
        }
        // What the first argument must be is checked before a stub is asked.
        let allowed = *error == Error::NotSupported || abi::refusal::pairs(*call).any(|implied| implied == *error);
        (!allowed).then(|| format!("listed as a stub and is none: {} {error:?}", call.name()))
    });
    untested.chain(strange).collect()
}

#[cfg(test)]
mod tests {
    use super::{documented, faults, recorded, STUBS};
    use abi::call::Call;
    use abi::error::Error;

    #[test]
    fn a_pair_without_a_test_one_without_a_row_and_a_stub_that_is_none_are_found() {
        let all = documented(STUBS);
        assert_eq!(faults(&all, &all, STUBS), [""; 0]);
        let mut fewer = all.clone();
        assert!(fewer.remove(&(Call::Wait, Error::TimedOut)));
        assert_eq!(faults(&all, &fewer, STUBS), ["no host test provokes: wait TimedOut"]);
        let mut more = all.clone();
        more.insert((Call::Clock, Error::Busy));
        assert_eq!(faults(&all, &more, STUBS), ["not documented: clock Busy"]);
        let mut stub = all.clone();
        stub.insert((Call::Notify, Error::NotSupported));
        stub.insert((Call::Notify, Error::Busy));
        let rest = documented(&[Call::Notify]);
        let found = faults(&rest, &stub, &[&[Call::Notify], STUBS].concat());
        assert!(found.contains(&"listed as a stub and is none: notify Busy".into()), "{found:?}");
        assert!(!found.iter().any(|f| f.contains("notify NotSupported")), "{found:?}");
    }

    #[test]
    fn files_are_read_and_a_line_that_is_no_pair_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("1"), "wait TimedOut\nwait Closed\n").expect("a file");
        assert_eq!(recorded(folder.path()).expect("pairs").len(), 2);
        std::fs::write(folder.path().join("2"), "wait Never\n").expect("a file");
        assert!(recorded(folder.path()).is_err());
    }
}
