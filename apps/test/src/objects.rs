//! The rules that hold for every kind of object, kind by kind.
//!
//! Here are the rules, and the kinds that a program makes out of an account alone. [`crate::threads`] has those that come with a
//! process, [`crate::roots`] those that come out of init's hands.

use crate::fork;
use crate::part::{content, deadline, status, Part, Role};
use crate::raw;
use crate::roots;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use crate::threads;
use abi::call::Call;
use abi::memory::MemoryFlags;
use abi::{Error, Handle, Kind, Result, Rights};
use alloc::vec::Vec;
use scheme::rt::{calls, event, quota};

/// A kind of object.
pub struct Sort {
    /// Its kind.
    pub kind: Kind,
    /// Makes one, charged to an account (or to the caller, where the call says so).
    pub make: fn(Handle) -> Result<Handle>,
    /// A call on it, the right that this takes, and what it answers for a new one.
    pub call: Call,
    /// The arguments behind the object.
    pub args: [u64; 5],
    /// See `call`.
    pub right: Rights,
    /// See `call`.
    pub answer: Result<()>,
    /// Pages of an account that holds a few, but not many.
    pub pages: u64,
}

/// How many are made to see what they cost.
const FEW: u64 = 4;
/// No small account holds so many.
const MANY: usize = 4000;

impl Sort {
    fn one(&self, account: Handle) -> Check<Handle> {
        works("making one", (self.make)(account))
    }

    fn use_it(&self, handle: Handle) -> Result<()> {
        let [a, b, c, d, e] = self.args;
        let words = match self.call {
            // What is mapped stands behind the space.
            Call::SpaceMap => [Handle::SELF_SPACE.word(), handle.word(), a, b, c, d],
            _ => [handle.word(), a, b, c, d, e],
        };
        raw::any_call(self.call, words).map(|_| ())
    }

    /// Another capability to one. Nobody derives from a reply, but it can be passed on: to ourselves too.
    fn derive(&self, handle: Handle, rights: Rights) -> Result<Handle> {
        match self.kind {
            Kind::Reply => calls::process_grant(Handle::SELF_PROCESS, handle, rights),
            _ => calls::derive(handle, rights),
        }
    }

    /// Rights that are fewer than a new one's, and from which another can still be had.
    fn few(&self) -> Rights {
        match self.kind {
            Kind::Reply => Rights::TRANSFER | Rights::INSPECT,
            _ => Rights::DERIVE | Rights::INSPECT,
        }
    }

    /// How many objects of the kind an account pays for.
    fn count(&self, account: Handle) -> Check<u64> {
        let usage = works("looking at the account", quota::usage(account))?;
        Ok(usage.objects.iter().filter(|(name, _)| *name == self.kind.name()).map(|(_, n)| n).sum())
    }
}

/// "closing a capability": the handle names nothing from then on.
pub fn closed(sort: &Sort) -> Check {
    let handle = sort.one(Handle::SELF_QUOTA)?;
    works("looking at it", calls::inspect(handle))?;
    works("closing it", raw::close(handle))?;
    refused("looking at it", calls::inspect(handle), Error::BadHandle)?;
    refused("closing it again", raw::close(handle), Error::BadHandle)
}

/// "every object is charged to a Quota", and comes whole back.
pub fn charged(sort: &Sort) -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, FEW * sort.pages, 0))?;
    let used = || works("looking at the account", calls::quota_info(account)).map(|(_, used, _)| used);
    let before = (used()?, sort.count(account)?);
    let mut made = Vec::new();
    for _ in 0..FEW {
        made.push(sort.one(account)?);
    }
    check(used()? > before.0, "objects cost nothing")?;
    same("objects", sort.count(account)?, before.1 + FEW)?;
    made.into_iter().for_each(calls::close);
    threads::end_holders();
    settled(|| Ok((used()?, sort.count(account)?) == before))?;
    calls::close(account);
    Ok(())
}

/// The same, of what is charged to whoever makes it.
pub fn charged_to_maker(sort: &Sort) -> Check {
    let own = Handle::SELF_QUOTA;
    let before = sort.count(own)?;
    let mut made = Vec::new();
    for _ in 0..FEW {
        made.push(sort.one(own)?);
    }
    same("objects", sort.count(own)?, before + FEW)?;
    made.into_iter().for_each(calls::close);
    settled(|| Ok(sort.count(own)? == before))
}

/// "out of quota is an error the caller sees", and what was made before stays good.
pub fn full(sort: &Sort) -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, sort.pages, 0))?;
    filled(sort, account, Vec::new())?;
    calls::close(account);
    Ok(())
}

/// The same, of what is charged to whoever makes it: in a process with an account of its own.
pub fn full_of_maker(sort: &'static Sort) -> Check {
    let pages = 2048;
    if roots::are_ours() {
        // There are no programs to start, but what is ours is a copy's too.
        let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, pages, 0))?;
        let end = fork::child_of(account, || status(fills_our_own(sort)));
        calls::close(account);
        return content(end?);
    }
    content(Part::new("fills-its-account", &[sort.kind.name()]).of_pages(pages).run()?)
}

/// The parts played here.
pub const PARTS: &[Role] = &[("fills-its-account", |words| status(fills(words)))];

fn fills(words: &[&str]) -> Check {
    match words {
        ["Session"] => fills_our_own(&SESSION),
        _ => fail("no such kind"),
    }
}

/// Leaves of our account what holds a few, and makes more.
fn fills_our_own(sort: &Sort) -> Check {
    // Room for the handles is taken before there is none.
    let mut room = alloc::vec![Handle::NONE; MANY];
    room.clear();
    let (limit, used, _) = works("our account", calls::quota_info(Handle::SELF_QUOTA))?;
    let rest = limit.saturating_sub(used).saturating_sub(sort.pages);
    let rest = works("taking the rest of it", calls::quota_split(Handle::SELF_QUOTA, rest, 0))?;
    filled(sort, Handle::SELF_QUOTA, room)?;
    calls::close(rest);
    Ok(())
}

/// Makes objects until the account is full. `made` has room for [`MANY`].
fn filled(sort: &Sort, account: Handle, mut made: Vec<Handle>) -> Check {
    let refusal = loop {
        match (sort.make)(account) {
            Ok(handle) if made.len() < MANY => made.push(handle),
            Ok(_) => return fail("a small account holds four thousand"),
            Err(error) => break error,
        }
    };
    same("what ends it", refusal, Error::OutOfQuota)?;
    check(!made.is_empty(), "not even one fitted")?;
    for handle in &made {
        works("looking at one", calls::inspect(*handle))?;
    }
    made.into_iter().for_each(calls::close);
    threads::end_holders();
    settled(|| match (sort.make)(account) {
        Ok(handle) => {
            calls::close(handle);
            Ok(true)
        }
        Err(_) => Ok(false),
    })
}

/// "by right": a capability without the right does not do what takes it.
pub fn right(sort: &Sort) -> Check {
    let handle = sort.one(Handle::SELF_QUOTA)?;
    let less = works("a right less", sort.derive(handle, Rights::all().difference(sort.right)))?;
    same("without it", sort.use_it(less), Err(Error::NoRight))?;
    let enough = works("this right alone", sort.derive(handle, sort.right))?;
    same("with it", sort.use_it(enough), sort.answer)?;
    [less, enough, handle].into_iter().for_each(calls::close);
    Ok(())
}

/// "derive": the child names the same object, with no right that its parent lacks.
pub fn child(sort: &Sort) -> Check {
    let handle = sort.one(Handle::SELF_QUOTA)?;
    let few = sort.few();
    let middle = works("a child", sort.derive(handle, few))?;
    let last = works("a child of the child", sort.derive(middle, Rights::all()))?;
    let (kind, _, _, object) = works("looking at the parent", calls::inspect(handle))?;
    same("its kind", kind, sort.kind)?;
    let (kind, rights, _, same_object) = works("looking at the last", calls::inspect(last))?;
    same("the object", (kind, same_object), (sort.kind, object))?;
    check(few.contains(rights), "it has more rights than its parent")?;
    [last, middle, handle].into_iter().for_each(calls::close);
    Ok(())
}

/// "revocation removes every descendant".
pub fn revoked(sort: &Sort) -> Check {
    let handle = sort.one(Handle::SELF_QUOTA)?;
    let first = works("a child", sort.derive(handle, Rights::all()))?;
    let second = works("another", sort.derive(handle, Rights::all()))?;
    let deep = works("a grandchild", sort.derive(first, Rights::all()))?;
    works("revoking", calls::revoke(handle))?;
    for gone in [first, second, deep] {
        refused("a descendant", calls::inspect(gone), Error::BadHandle)?;
    }
    same("the capability itself", sort.use_it(handle), sort.answer)?;
    calls::close(handle);
    Ok(())
}

/// "transfer by right": what does not carry TRANSFER is not granted.
pub fn granted(sort: &Sort) -> Check {
    let handle = sort.one(Handle::SELF_QUOTA)?;
    let stays = works("without TRANSFER", sort.derive(handle, Rights::all().difference(Rights::TRANSFER)))?;
    let (process, space) = works("a process", calls::process_create(Handle::SELF_QUOTA, "holder", 1, Handle::NONE))?;
    let grant = |what: Handle| {
        let all = u64::from(Rights::all().bits());
        raw::any_call(Call::ProcessGrant, [process.word(), what.word(), all, 0, 0, 0]).map(|_| ())
    };
    refused("granting it", grant(stays), Error::NoRight)?;
    works("granting one that may go", grant(handle))?;
    works("ending the holder", calls::process_kill(process, 0))?;
    [process, space, stays, handle].into_iter().for_each(calls::close);
    Ok(())
}

/// Waits until what goes in steps is done.
pub fn settled(done: impl Fn() -> Check<bool>) -> Check {
    let until = deadline();
    while !done()? {
        check(scheme::time::now_ns() < until, "the account is not whole again")?;
        works("yielding", calls::thread_yield())?;
    }
    Ok(())
}

const NOTIFICATION: Sort = Sort {
    kind: Kind::Notification,
    make: calls::notification_create,
    call: Call::Notify,
    args: [1, 0, 0, 0, 0],
    right: Rights::SEND,
    answer: Ok(()),
    pages: 24,
};
const ENDPOINT: Sort = Sort {
    kind: Kind::Endpoint,
    make: calls::endpoint_create,
    call: Call::SessionNext,
    args: [0; 5],
    right: Rights::MANAGE,
    answer: Err(Error::NotFound),
    pages: 24,
};
const NAMESPACE: Sort = Sort {
    kind: Kind::Namespace,
    make: calls::namespace_create,
    call: Call::NamespaceEntry,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Err(Error::NotFound),
    pages: 24,
};
const MEMORY: Sort = Sort {
    kind: Kind::Memory,
    make: |account| calls::memory_create(account, 1, MemoryFlags::empty()),
    call: Call::MemoryInfo,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 24,
};
const QUEUE: Sort = Sort {
    kind: Kind::EventQueue,
    make: |account| event::queue_create(account, 4),
    call: Call::QueueRemove,
    args: [9, 0, 0, 0, 0],
    right: Rights::MANAGE,
    answer: Err(Error::NotFound),
    pages: 24,
};
const QUOTA: Sort = Sort {
    kind: Kind::Quota,
    make: |account| calls::quota_split(account, 1, 0),
    call: Call::QuotaInfo,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 24,
};
const PROCESS: Sort = Sort {
    kind: Kind::Process,
    make: |account| {
        let (process, space) = calls::process_create(account, "empty", 1, Handle::NONE)?;
        calls::close(space);
        Ok(process)
    },
    call: Call::ProcessStatus,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 96,
};
const SESSION: Sort = Sort {
    kind: Kind::Session,
    make: |account| {
        let endpoint = calls::endpoint_create(account)?;
        let session = calls::session_create(endpoint, 1, 0)?;
        calls::close(endpoint);
        Ok(session)
    },
    call: Call::Inspect,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 24,
};
/// A session as it is used: called. Whoever calls where nobody can ever receive is told at once.
const CALLED: Sort = Sort { call: Call::Send, right: Rights::SEND, answer: Err(Error::Closed), ..SESSION };
const REPLY: Sort = Sort {
    kind: Kind::Reply,
    make: calls::reply_create,
    call: Call::LeaseRead,
    args: [0; 5],
    right: Rights::SEND,
    answer: Err(Error::WrongState),
    pages: 24,
};

/// The tests of some kinds: each rule has a name that begins with the kind's.
macro_rules! tests {
    ($($noun:literal $sort:ident: $($rule:ident)+;)+) => {
        /// The tests.
        pub const TESTS: &[Test] = &[
            $($(Test { name: concat!("a-", $noun, tests!(@ $rule)), run: || $crate::objects::tidied($rule(&$sort)) },)+)+
        ];
    };
    (@ closed) => { "-that-is-closed-names-nothing" };
    (@ charged) => { "-is-charged-and-comes-whole-back" };
    (@ charged_to_maker) => { "-is-charged-to-its-maker-and-comes-whole-back" };
    (@ full_of_maker) => { "-past-its-makers-account-is-refused" };
    (@ full) => { "-past-the-account-is-refused" };
    (@ right) => { "-without-the-right-is-refused" };
    (@ child) => { "-derived-has-no-more-rights" };
    (@ revoked) => { "-revoked-is-gone-with-all-descendants" };
    (@ granted) => { "-is-granted-by-right" };
}
pub(crate) use tests;

/// The end of a test, whatever it says: nothing that it made runs on.
pub fn tidied(check: Check) -> Check {
    threads::end_holders();
    check
}

tests! {
    "notification" NOTIFICATION: closed charged full right child revoked granted;
    "endpoint" ENDPOINT: closed charged full right child revoked granted;
    "namespace" NAMESPACE: closed charged full right child revoked granted;
    "memory" MEMORY: closed charged full right child revoked granted;
    "queue" QUEUE: closed charged full right child revoked granted;
    "quota" QUOTA: closed charged full right child revoked granted;
    "process" PROCESS: closed charged full right child revoked granted;
    "session" SESSION: closed charged_to_maker full_of_maker child revoked granted;
    "session" CALLED: right;
    "reply" REPLY: closed charged full right child revoked granted;
}
