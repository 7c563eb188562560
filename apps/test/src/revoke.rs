//! Revoking: what was passed on is gone, everywhere, and only that.

use crate::messages::{request, Pair};
use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::raw;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::memory::MemoryFlags;
use abi::{Error, Handle, Rights};
use scheme::rt::calls;
use scheme::rt::message::{self, Answer};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "revoking-takes-all-that-was-derived", run: tree },
    Test { name: "revoking-reaches-other-processes", run: across },
    Test { name: "closing-leaves-what-was-passed-on", run: closing },
];

/// The parts played here.
pub const PARTS: &[Role] = &[("hold", |_| status(hold()))];

fn memory() -> Check<Handle> {
    works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))
}

fn tree() -> Check {
    let root = memory()?;
    let all = Rights::all();
    let child = works("a child", calls::derive(root, all))?;
    let sibling = works("another", calls::derive(root, Rights::READ))?;
    let mut line = alloc::vec::Vec::from([child]);
    for _ in 0..50 {
        let last = line.last().copied().unwrap_or(child);
        line.push(works("a descendant", calls::derive(last, all))?);
    }
    let middle = line.get(25).copied().unwrap_or(child);
    works("revoking below the middle", calls::revoke(middle))?;
    for (depth, handle) in line.iter().enumerate() {
        let there = raw::inspect(*handle).is_ok();
        same("who is left", (depth, there), (depth, depth <= 25))?;
    }
    works("revoking all", calls::revoke(root))?;
    check(raw::is_bad(raw::inspect(child)) && raw::is_bad(raw::inspect(sibling)), "something was left")?;
    works("the root is as it was", calls::memory_write(root, 0, b"x"))?;
    let again = works("and can be derived from", calls::derive(root, all))?;
    [again, root].into_iter().for_each(calls::close);
    Ok(())
}

fn hold() -> Check {
    let (gift, server) = (given("gift"), given("server"));
    works("the gift is good", calls::memory_info(gift))?;
    let own = works("deriving from it", calls::derive(gift, Rights::all()))?;
    works("asking", message::call(server, &mut request(1, [0; 6])))?;
    refused("the gift is gone", calls::memory_info(gift), Error::BadHandle)?;
    refused("what came of it too", calls::memory_info(own), Error::BadHandle)?;
    works("the way to the server is not", message::call(server, &mut request(2, [0; 6]))).map(|_| ())
}

fn across() -> Check {
    let pair = Pair::new()?;
    let root = memory()?;
    let lent = works("what is lent", calls::derive(root, Rights::all()))?;
    let part =
        Part::new("hold", &[]).with("gift", lent, Rights::all()).with("server", pair.session, Rights::SEND).start()?;
    let arrival = works("its first call", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("its first call", arrival.tag, 1)?;
    works("revoking", calls::revoke(lent))?;
    let arrival = works("its second", message::reply_recv(pair.endpoint, pair.reply, &Answer::default()))?;
    same("its second call", arrival.tag, 2)?;
    works("answering", message::reply(pair.reply, &Answer::default()))?;
    content(end_of(&part)?)?;
    works("ours is as it was", calls::memory_info(lent))?;
    [lent, root].into_iter().for_each(calls::close);
    Ok(())
}

fn closing() -> Check {
    let root = memory()?;
    let child = works("a child", calls::derive(root, Rights::all()))?;
    let grandchild = works("a grandchild", calls::derive(child, Rights::all()))?;
    works("closing the child", raw::close(child))?;
    works("the grandchild lives", calls::memory_info(grandchild))?;
    works("revoking the root's", calls::revoke(root))?;
    refused("the grandchild is the root's now", calls::memory_info(grandchild), Error::BadHandle)?;
    calls::close(root);
    Ok(())
}
