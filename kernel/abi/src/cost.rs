//! What the cost of each call grows with.
//!
//! The instructions that calls take are measured (`make costs`); how they grow is said here, so that who uses a call in a bounded
//! time knows what to bound. A tree of `n` things costs its depth, which is logarithmic in `n`.

use crate::call::Call;

/// Nothing.
const FIXED: &str = "nothing";
/// The object is the first in a page of its kind, or the last.
const OBJECT: &str = "nothing; the first and the last object in a page of its kind take or free that page";

/// What the cost of a call grows with, as the reference says it.
pub const fn grows_with(call: Call) -> &'static str {
    match call {
        Call::Call | Call::Send => {
            "words in the message, capabilities and leases handed over; a receiver that waits is switched to"
        }
        Call::Open => "as `call`, and the names in the namespace",
        Call::ReplyRecv => "as `reply` and `recv`",
        Call::Reply => "words, capabilities handed over, pages of leases that were mapped",
        Call::Recv => "capabilities and leases received",
        Call::Notify | Call::Wait => FIXED,
        Call::LeaseRead | Call::LeaseWrite => {
            "bytes, at most 64 KiB a call; less is done while an interrupt is pending"
        }
        Call::LeaseMap | Call::LeasePin => "pages, a bounded number a call",
        Call::Derive | Call::Inspect => FIXED,
        Call::Close => "what stems from the capability, where it was the last one: ends go on in steps after the call",
        Call::Revoke => "descendants and what stems from them; in steps",
        Call::QuotaSplit => OBJECT,
        Call::QuotaInfo | Call::QuotaUsage => FIXED,
        Call::QuotaProcess => "processes of other accounts that lie between",
        Call::QuotaOpen => "the depth of accounts",
        Call::QuotaLimit => FIXED,
        Call::ProcessQuota => FIXED,
        Call::EndpointCreate | Call::ReplyCreate | Call::NotificationCreate | Call::NamespaceCreate => OBJECT,
        Call::SessionCreate => "the tree of the endpoint's sessions",
        Call::SessionAcknowledge | Call::SessionNext => "the tree of the endpoint's sessions",
        Call::NotificationBind => FIXED,
        Call::TimerSet => "the tree of armed timers",
        Call::NamespaceBind | Call::NamespaceEntry | Call::NamespaceSession => "names in the namespace, at most 64",
        Call::MemoryCreate => "nothing for demand-zero memory; pages of a run, each of which is zeroed, in steps",
        Call::MemoryInfo => FIXED,
        Call::MemoryRead | Call::MemoryWrite => {
            "bytes, at most 64 KiB a call; less is done while an interrupt is pending; pages that are brought in"
        }
        Call::SpaceMap => "the tree of the space's mappings; not the length: pages come with their first use",
        Call::SpaceUnmap => "translations taken out, and mappings in the range; in steps",
        Call::SpaceProtect => "translations changed, and mappings in the range; in steps",
        Call::MemoryClone => "pages in memory; in steps",
        Call::PagerCreate => OBJECT,
        Call::PagerSupply | Call::PagerTake => "pages, a bounded number a call",
        Call::PagerFail => "threads that wait for the pages",
        Call::SpaceClone => "mappings and pages in memory; in steps",
        Call::PressureWatch => FIXED,
        Call::ProcessCreate => OBJECT,
        Call::ProcessGrant => FIXED,
        Call::ProcessExit | Call::ProcessKill => "all that the process had, after the call, in steps",
        Call::ProcessStatus | Call::ProcessInfo => FIXED,
        Call::ProcessWatch => OBJECT,
        Call::ProcessCapability => "free entries passed over",
        Call::ProcessNamespace => FIXED,
        Call::ThreadCreate => OBJECT,
        Call::ThreadExit => "what the thread waits for and lends",
        Call::ThreadPriority => "the chain of servers that the thread waits for",
        Call::ThreadAffinity => "the processors, when it is ready",
        Call::ThreadCancel => "leases of the call that is cancelled",
        Call::ThreadYield => FIXED,
        Call::ThreadSetFsBase | Call::ThreadId | Call::Clock => FIXED,
        Call::Sleep => "the tree of deadlines",
        Call::TableClone => "capabilities; in steps",
        Call::InterruptAllocate => OBJECT,
        Call::InterruptBind | Call::InterruptAcknowledge => FIXED,
        Call::PortRead | Call::PortWrite => FIXED,
        Call::PortReadBytes | Call::PortWriteBytes => "bytes, at most a page",
        Call::DomainCreate | Call::DomainOpen => "the tree of tags",
        Call::DomainPin => "pages, a bounded number a call",
        Call::DomainRelease => "pins of the domain",
        Call::LogWrite | Call::LogRead => "bytes",
        Call::SystemInfo | Call::SystemWatch => FIXED,
        Call::SystemControl => FIXED,
        Call::QueueCreate => OBJECT,
        Call::QueueAdd | Call::QueueChange | Call::QueueRemove => "the tree of the queue's keys",
        Call::QueueWait => "events that are taken",
        Call::QueueBind => FIXED,
        Call::SessionReady => "queues that watch the session, at most 256",
        Call::FutexWait => "the tree of words that are waited at",
        Call::FutexWake | Call::FutexRequeue => "threads that are woken or moved",
        Call::ThreadSuspend | Call::ThreadResume => FIXED,
        Call::ThreadRegisters | Call::ThreadSetRegisters => FIXED,
        Call::ThreadUpcall | Call::UpcallHandler | Call::UpcallReturn | Call::UpcallMask => FIXED,
        Call::ThreadFaultHandler | Call::ForeignHandler => FIXED,
        Call::PolicyLoad => "the policy's length; once",
        Call::ProcessLabel => FIXED,
        Call::AuditRead => "records",
        Call::AuditWrite => "bytes",
    }
}
