//! A register's worth for an argument of a call, by the argument's name in its
//! row.

use super::stage::policy;
use crate::handle::{choose, Entry};
use crate::input::Input;
use crate::number::{address, length, name as named, number, pages, time};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::message::Extras;
use abi::{Kind, Rights};
use kernel_core::world::LENT;

/// What the caller's row asks of its first argument, if anything.
pub fn need(call: Call) -> Option<(Kind, Rights)> {
    let mut words = call.needs().split_whitespace();
    let kind = words.next()?;
    let rights = Rights::from_name(words.next()?)?;
    Kind::ALL.iter().find(|k| k.name() == kind).map(|k| (*k, rights))
}

/// The kind of object that an argument of this name names.
fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "process" => Kind::Process,
        "thread" => Kind::Thread,
        "space" | "into" => Kind::AddressSpace,
        "memory" | "source" => Kind::Memory,
        "endpoint" => Kind::Endpoint,
        "session" => Kind::Session,
        "reply" => Kind::Reply,
        "notification" => Kind::Notification,
        "queue" => Kind::EventQueue,
        "namespace" => Kind::Namespace,
        "quota" | "child" => Kind::Quota,
        "domain" => Kind::DmaDomain,
        "interrupt" => Kind::Interrupt,
        "ports" => Kind::IoPorts,
        "system" => Kind::System,
        "log" => Kind::Log,
        _ => return None,
    })
}

/// The argument at an index of a call's row.
pub fn argument(input: &mut Input<'_>, table: &[Entry], now_ns: u64, call: Call, index: usize) -> u64 {
    let name = call.arguments()[index];
    if index == 0 {
        if let Some((kind, _)) = need(call) {
            return choose(input, table, Some(kind));
        }
    }
    if let Some(kind) = kind_of(name) {
        return choose(input, table, Some(kind));
    }
    match name {
        "handle" => choose(input, table, None),
        // Where every process has a policy, and two names of four and five letters.
        "length" if call == Call::PolicyLoad => match input.byte() {
            0..=0xbf => policy().len() as u64,
            _ => length(input),
        },
        "name_address" => match input.byte() {
            0..=0x9f => LENT,
            0xa0..=0xbf => LENT + 5,
            _ => address(input),
        },
        "name_length" => match input.byte() {
            few @ 0..=0xbf => 4 + u64::from(few & 1),
            _ => length(input),
        },
        "badge" | "after_badge" | "key" | "tag" | "index" | "what" | "ring" | "mode" | "object_type" | "label" => {
            named(input)
        }
        "address" | "entry" | "stack" | "buffer" | "to" | "frame" | "base" => address(input),
        "length" | "capacity" | "name_capacity" | "stack_length" => length(input),
        "offset" => match input.byte() {
            whole @ 0..=0x7f => u64::from(whole & 7) * PAGE_SIZE,
            _ => length(input),
        },
        "pages" | "page" | "length_pages" | "limit_pages" | "free_pages" | "first_page" | "source_page" => pages(input),
        "rights" => match input.byte() {
            0..=0x7f => u64::from(Rights::all().bits()),
            0x80..=0xef => input.short() & u64::from(Rights::all().bits()),
            _ => number(input),
        },
        "deadline_ns" => time(input, now_ns),
        "extras" => extras(input),
        "protection" => match input.byte() {
            few @ 0..=0x9f => u64::from(few & 7),
            more @ 0xa0..=0xef => u64::from(more & 7) | u64::from(more >> 3 & 3) << 8,
            _ => number(input),
        },
        "zero" => match input.byte() {
            0..=0xf7 => 0,
            _ => number(input),
        },
        _ => number(input),
    }
}

/// The shape of what a message carries: mostly a valid one.
fn extras(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        0..=0x3f => 0,
        some @ 0x40..=0xf7 => {
            let (caps, leases) = (usize::from(some & 3), usize::from(some >> 2 & 3));
            Extras::new(caps, leases, some & 0x10 != 0).0
        }
        _ => number(input),
    }
}
