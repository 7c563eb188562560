//! Interrupts: from an id that the machine layer gives to a notification.
//!
//! A driver allocates a line or a message from the root that the bus manager was given, binds it to a notification,
//! and waits there. A level-triggered line is masked at each interrupt until its driver acknowledges it. Ports
//! and registers, the rest of a driver's hold on its device, are ranges: see [`range`].

pub mod range;

use crate::cap::reference::object;
use crate::machine::{Machine, MessageInterrupt};
use crate::object::{Interrupt, Notification, Quota};
use crate::{CpuId, Field, Id, Kernel, Link, Next};
use abi::{Error, Result};

/// The most interrupt ids that any machine has.
pub const INTERRUPTS: usize = 256;
/// `Interrupt::line` of a message.
const NO_LINE: u32 = u32::MAX;

/// Who gets which interrupt.
pub struct Irq {
    owners: [Field<Link<Interrupt>>; INTERRUPTS],
    /// Interrupts of devices since boot.
    pub count: Field<u64>,
    /// Pages of registers that the kernel keeps for itself; 0: the place is free.
    kept: [Field<u64>; range::KEPT],
}

impl Irq {
    /// Nobody gets any.
    pub fn new() -> Irq {
        Irq {
            owners: core::array::from_fn(|_| Field::new(None)),
            count: Field::new(0),
            kept: core::array::from_fn(|_| Field::new(0)),
        }
    }
}

impl Default for Irq {
    fn default() -> Irq {
        Irq::new()
    }
}

object!(Interrupt, Interrupt, |kernel, id| kernel.interrupt_end(id));

impl<M: Machine> Kernel<M> {
    /// The root that interrupts are allocated from, without references. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn interrupt_root(&self, quota: Id<Quota>) -> Result<Id<Interrupt>> {
        let id = self.allocate_object::<Interrupt>(quota)?;
        self.interrupts[id].is_root.set(true);
        self.interrupts[id].line.set(NO_LINE);
        Ok(id)
    }

    fn interrupt_free_number(&self) -> Result<usize> {
        let mut places = self.irq.owners.iter().take(M::INTERRUPTS).enumerate();
        places.find(|(_, owner)| owner.get().is_none()).map(|(number, _)| number).ok_or(Error::OutOfMemory)
    }

    /// An interrupt for a line, masked until it is bound; without references. Errors: `Exists` (somebody has the
    /// line), `NotFound` (there is no such line), `OutOfMemory` (no id is left, or no frame), `OutOfQuota`.
    pub fn interrupt_line(&self, quota: Id<Quota>, line: u32, level: bool, low: bool) -> Result<Id<Interrupt>> {
        let taken =
            |owner: &Field<Link<Interrupt>>| owner.get().is_some_and(|id| self.interrupts[id].line.get() == line);
        Error::NotFound.when(line == NO_LINE)?;
        Error::Exists.when(self.irq.owners.iter().any(taken))?;
        let number = self.interrupt_free_number()?;
        let id = self.interrupt_new(quota, number)?;
        if !self.machine.line_route(line, number, level, low) {
            self.interrupt_end(id);
            return Err(Error::NotFound);
        }
        self.interrupts[id].line.set(line);
        self.interrupts[id].level.set(level);
        Ok(id)
    }

    /// An interrupt that is a message, and where a device writes to raise it; without references. Errors: `NotSupported` (the
    /// machine takes none), `OutOfMemory` (no id is left, or no frame), `OutOfQuota`.
    pub fn interrupt_message(&self, quota: Id<Quota>) -> Result<(Id<Interrupt>, MessageInterrupt)> {
        let number = self.interrupt_free_number()?;
        let message = self.machine.message_interrupt(number).ok_or(Error::NotSupported)?;
        Ok((self.interrupt_new(quota, number)?, message))
    }

    fn interrupt_new(&self, quota: Id<Quota>, number: usize) -> Result<Id<Interrupt>> {
        let id = self.allocate_object::<Interrupt>(quota)?;
        self.interrupts[id].number.set(number as u32);
        self.interrupts[id].line.set(NO_LINE);
        if let Some(owner) = self.irq.owners.get(number) {
            owner.set(Some(id));
        }
        Ok(id)
    }

    fn interrupt_end(&self, id: Id<Interrupt>) {
        self.interrupt_unbind(id);
        let interrupt = &self.interrupts[id];
        if !interrupt.is_root.get() {
            if let Some(owner) = self.irq.owners.get(interrupt.number.get() as usize) {
                owner.set(None);
            }
        }
        self.free_object(id);
    }

    fn interrupt_mask(&self, interrupt: &Interrupt, masked: bool) {
        if interrupt.line.get() != NO_LINE {
            self.machine.line_mask(interrupt.line.get(), masked);
        }
    }

    /// Has bits of a notification set at each interrupt from now on; a line may interrupt from now on.
    pub fn interrupt_attach(&self, id: Id<Interrupt>, to: Id<Notification>, bits: u64) {
        self.interrupt_unbind(id);
        let interrupt = &self.interrupts[id];
        self.refer(&interrupt.notification, Some(to));
        interrupt.bits.set(bits);
        self.interrupt_mask(interrupt, false);
    }

    /// Tells nobody any more; a line is masked.
    pub fn interrupt_unbind(&self, id: Id<Interrupt>) {
        let interrupt = &self.interrupts[id];
        self.interrupt_mask(interrupt, true);
        self.refer(&interrupt.notification, None);
    }

    /// Lets a level-triggered line interrupt again, if somebody is told.
    pub fn interrupt_rearm(&self, id: Id<Interrupt>) {
        let interrupt = &self.interrupts[id];
        if interrupt.level.get() && interrupt.notification.get().is_some() {
            self.interrupt_mask(interrupt, false);
        }
    }

    /// A device interrupted: interrupt id `number`.
    pub fn interrupt(&mut self, cpu: CpuId, number: usize) -> Next {
        self.interrupt_deliver(number);
        self.leave(cpu)
    }

    fn interrupt_deliver(&self, number: usize) {
        self.irq.count.update(|n| n.wrapping_add(1));
        let Some(id) = self.irq.owners.get(number).and_then(Field::get) else { return };
        let interrupt = &self.interrupts[id];
        if interrupt.level.get() {
            self.interrupt_mask(interrupt, true);
        }
        if let Some(notification) = interrupt.notification.get() {
            self.notification_signal(notification, interrupt.bits.get());
        }
    }
}

#[cfg(test)]
mod tests;
