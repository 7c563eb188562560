//! Who names an object: references, typed and by kind.

use crate::object::{
    DeviceMemory, DmaDomain, Endpoint, EventQueue, Header, Interrupt, IoPorts, Memory, Namespace, Notification, Object,
    Pin, Process, Quota, Reply, Session, Space, Thread,
};
use crate::{Field, Id, Kernel, Link, Machine};
use abi::Kind;

/// Makes a type an [`Object`]: the kind of its capabilities, and what becomes of one that nothing refers to any more.
macro_rules! object {
    ($type:ident, $kind:ident, |$kernel:ident, $id:ident| $end:expr) => {
        impl crate::object::Object for $type {
            const CAP_KIND: abi::Kind = abi::Kind::$kind;
            fn header(&self) -> &crate::object::Header {
                &self.header
            }
            fn end<M: crate::machine::Machine>($kernel: &crate::kernel::Kernel<M>, $id: crate::id::Id<Self>) {
                $end
            }
        }
    };
}
pub(crate) use object;

/// Does `$act` with `$id` typed by a kind; kinds without objects (`System`, `Log`) do `$none`.
macro_rules! by_kind {
    ($kind:expr, $raw:expr, |$id:ident| $act:expr, $none:expr) => {
        by_kind!(@among $kind, $raw, $id, $act, $none; AddressSpace Space, Process Process, Thread Thread, Memory Memory,
            Endpoint Endpoint, Session Session, Reply Reply, Notification Notification, Namespace Namespace, Quota Quota,
            DmaDomain DmaDomain, Pin Pin, Interrupt Interrupt, IoPorts IoPorts, DeviceMemory DeviceMemory,
            EventQueue EventQueue)
    };
    (@among $kind:expr, $raw:expr, $id:ident, $act:expr, $none:expr; $($is:ident $t:ident),+) => {
        match ($kind, Id::<()>::try_new($raw as usize)) {
            (_, None) | (Kind::SchedContext | Kind::System | Kind::Log, _) => $none,
            $((Kind::$is, _) => by_kind!(@one $t, $raw, $id, $act),)+
        }
    };
    (@one $t:ident, $raw:expr, $id:ident, $act:expr) => {{
        let $id = Id::<$t>::try_new($raw as usize).expect("invariant: a capability's object is an id");
        $act
    }};
}

impl<M: Machine> Kernel<M> {
    /// One more reference to an object.
    pub fn retain<T: Object>(&self, id: Id<T>) {
        let references = &self.arena::<T>()[id].header().references;
        references.set(references.get().checked_add(1).expect("invariant: fewer references than 2^32"));
    }

    /// One reference to an object less; with the last one it ends.
    pub fn release<T: Object>(&self, id: Id<T>) {
        let references = &self.arena::<T>()[id].header().references;
        let left = references.get().checked_sub(1).expect("invariant: a reference let go was held");
        references.set(left);
        if left == 0 {
            T::end(self, id);
        }
    }

    /// Has a field of an object name another object, or none: what it names it holds a reference to.
    pub(crate) fn refer<T: Object>(&self, field: &Field<Link<T>>, to: Link<T>) {
        if let Some(to) = to {
            self.retain(to);
        }
        if let Some(before) = field.replace(to) {
            self.release(before);
        }
    }

    /// One more capability names an object.
    pub(crate) fn cap_retain(&self, kind: Kind, raw: u32) {
        by_kind!(kind, raw, |id| self.retain(id), ());
        if kind == Kind::Quota {
            by_kind!(@one Quota, raw, id, self.quota_adopt(id));
        }
    }

    /// One capability less names an object.
    pub(crate) fn cap_release(&self, kind: Kind, raw: u32) {
        match kind {
            Kind::Quota => by_kind!(@one Quota, raw, id, self.quota_disown(id)),
            Kind::Process => by_kind!(@one Process, raw, id, self.process_capability_gone(id)),
            _ => {}
        }
        by_kind!(kind, raw, |id| self.release(id), ());
    }

    /// An object's number since boot; 0 for kinds without objects.
    pub(crate) fn object_id(&self, kind: Kind, raw: u32) -> u64 {
        by_kind!(kind, raw, |id| header(self.arena(), id).object_id.get(), 0)
    }
}

fn header<T: Object>(arena: &crate::arena::Arena<T>, id: Id<T>) -> &Header {
    arena[id].header()
}
