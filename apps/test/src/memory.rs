//! Memory: zeroed, never writable and executable, no more than its capability
//! allows.

use crate::raw;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE, USER_END};
use abi::{Error, Handle, Rights};
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "new-memory-is-zero", run: zero },
    Test { name: "no-page-is-writable-and-executable", run: writable_or_executable },
    Test { name: "a-mapping-allows-no-more-than-its-capability", run: rights },
    Test { name: "mappings-go-only-where-there-is-room", run: places },
    Test { name: "bad-addresses-are-refused-not-followed", run: addresses },
];

const READ: Protection = Protection::READ;
const WRITE: Protection = Protection::READ.union(Protection::WRITE);
const EXECUTE: Protection = Protection::READ.union(Protection::EXECUTE);

fn pages(count: u64) -> Check<Handle> {
    works("memory", calls::memory_create(Handle::SELF_QUOTA, count, MemoryFlags::empty()))
}

fn zero() -> Check {
    for flags in [MemoryFlags::empty(), MemoryFlags::CONTIGUOUS] {
        // Frames that were written and given back come again.
        for _ in 0..3 {
            let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 8, flags))?;
            let mut data = [1; 8 * PAGE_SIZE as usize];
            works("reading it", calls::memory_read(memory, 0, &mut data))?;
            check(data.iter().all(|b| *b == 0), "new memory held something")?;
            works("filling it", calls::memory_write(memory, 0, &[0xa5; 8 * PAGE_SIZE as usize]))?;
            works("closing it", raw::close(memory))?;
        }
    }
    Ok(())
}

fn writable_or_executable() -> Check {
    let both = WRITE | Protection::EXECUTE;
    let memory = pages(2)?;
    refused("mapping both", raw::map(memory, 0, PAGE_SIZE, both), Error::BadArgument)?;
    let writable = works("mapping it writable", raw::map(memory, 0, PAGE_SIZE, WRITE))?;
    refused("making it both", raw::protect(writable, PAGE_SIZE, both), Error::BadArgument)?;
    refused("an executable alias", raw::map(memory, 0, PAGE_SIZE, EXECUTE), Error::Busy)?;
    // The page beside it is another page.
    let beside = works("the page beside it", raw::map(memory, PAGE_SIZE, PAGE_SIZE, EXECUTE))?;
    refused("a writable alias of that", raw::map(memory, PAGE_SIZE, PAGE_SIZE, WRITE), Error::Busy)?;
    refused("writing it through the kernel", calls::memory_write(memory, PAGE_SIZE, b"x"), Error::Busy)?;
    works("making the first executable", raw::protect(writable, PAGE_SIZE, EXECUTE))?;
    refused("a writable alias of the first", raw::map(memory, 0, PAGE_SIZE, WRITE), Error::Busy)?;
    works("unmapping", raw::unmap(beside, PAGE_SIZE))?;
    works("unmapping", raw::unmap(writable, PAGE_SIZE))?;
    works("now it can be mapped writable", raw::map(memory, 0, 2 * PAGE_SIZE, WRITE))
        .and_then(|all| works("unmapping", raw::unmap(all, 2 * PAGE_SIZE)))?;
    calls::close(memory);
    Ok(())
}

fn rights() -> Check {
    let memory = pages(1)?;
    let reader = works("a reader's capability", calls::derive(memory, Rights::READ | Rights::INSPECT))?;
    refused("mapping it writable", raw::map(reader, 0, PAGE_SIZE, WRITE), Error::NoRight)?;
    refused("mapping it executable", raw::map(reader, 0, PAGE_SIZE, EXECUTE), Error::NoRight)?;
    refused("writing it", calls::memory_write(reader, 0, b"x"), Error::NoRight)?;
    let place = works("mapping it readable", raw::map(reader, 0, PAGE_SIZE, READ))?;
    refused("making that writable", raw::protect(place, PAGE_SIZE, WRITE), Error::NoRight)?;
    // What the owner writes shows there: it is the same page.
    works("writing as the owner", calls::memory_write(memory, 5, &[0x42]))?;
    same("what the reader sees", raw::load(place + 5), 0x42)?;
    works("unmapping", raw::unmap(place, PAGE_SIZE))?;
    [memory, reader].into_iter().for_each(calls::close);
    Ok(())
}

fn places() -> Check {
    let memory = pages(2)?;
    let place = works("mapping it", raw::map(memory, 0, PAGE_SIZE, WRITE))?;
    refused("the same place", raw::map_at(memory, place, PAGE_SIZE, WRITE), Error::Exists)?;
    refused("a place in the kernel's half", raw::map_at(memory, 1 << 63, PAGE_SIZE, WRITE), Error::BadAddress)?;
    refused("the last page below it", raw::map_at(memory, USER_END, PAGE_SIZE, WRITE), Error::BadAddress)?;
    refused("the neighbourhood of null", raw::map_at(memory, PAGE_SIZE, PAGE_SIZE, WRITE), Error::BadAddress)?;
    refused("past its end", raw::map(memory, PAGE_SIZE, 2 * PAGE_SIZE, WRITE), Error::BadArgument)?;
    refused("no whole pages", raw::map(memory, 0, 100, WRITE), Error::BadArgument)?;
    refused("nothing", raw::map(memory, 0, 0, WRITE), Error::BadArgument)?;
    refused("more than there can be", raw::map(memory, 0, !0xfff, WRITE), Error::BadArgument)?;
    refused("a hole's protection", raw::protect(place + PAGE_SIZE, PAGE_SIZE, READ), Error::BadAddress)?;
    works("unmapping", raw::unmap(place, PAGE_SIZE))?;
    calls::close(memory);
    Ok(())
}

fn addresses() -> Check {
    use abi::call::Call;
    let memory = pages(1)?;
    for address in [0, 8, 1 << 47, 0xffff_ffff_8000_0000, u64::MAX - 3] {
        let read = raw::any_call(Call::MemoryRead, [memory.word(), 0, address, 8, 0, 0]);
        refused("reading to a bad address", read, Error::BadAddress)?;
        let write = raw::any_call(Call::MemoryWrite, [memory.word(), 0, address, 8, 0, 0]);
        refused("writing from a bad address", write, Error::BadAddress)?;
        let name = raw::any_call(Call::NamespaceEntry, [Handle::SELF_NAMESPACE.word(), 0, address, 64, 0, 0]);
        check(matches!(name, Err(Error::BadAddress | Error::NotFound)), "a name to a bad address")?;
        let info = raw::any_call(Call::ProcessInfo, [Handle::SELF_PROCESS.word(), address, 0, 0, 0, 0]);
        refused("process information to a bad address", info, Error::BadAddress)?;
    }
    // Code can be read, and is not written for us by the kernel either.
    let code = addresses as fn() -> Check as usize as u64;
    works("writing from code", raw::any_call(Call::MemoryWrite, [memory.word(), 0, code, 8, 0, 0]))?;
    let into_code = raw::any_call(Call::MemoryRead, [memory.word(), 0, code, 8, 0, 0]);
    refused("reading into code", into_code, Error::BadAddress)?;
    calls::close(memory);
    Ok(())
}
