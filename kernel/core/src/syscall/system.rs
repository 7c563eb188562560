//! The log, and the calls that init alone can make.

use crate::kernel::Kernel;
use crate::log::LINE;
use crate::machine::{Machine, Stop};
use crate::syscall::{Answer, Context};
use abi::boot::Counter;
use abi::fault::REPORT_WORDS;
use abi::{Error, Result};

/// Bytes of log copied by one call.
const CHUNK: usize = 1024;
/// Counters told.
const COUNTERS: usize = Counter::IdleNs as usize + 1;

impl<M: Machine> Kernel<M> {
    /// `log_write`. Errors: `BadAddress`.
    pub fn log_write(&self, cx: &Context) -> Result<Answer> {
        let mut line = [0; LINE];
        let length = usize::try_from(cx.arg(2)).unwrap_or(LINE).min(LINE);
        let text = line.get_mut(..length).unwrap_or(&mut []);
        self.user_read(cx.process, cx.arg(1), text)?;
        let (name, name_length) = self.process_name(cx.process);
        self.log_line(name.get(..name_length).unwrap_or(&name), text);
        Ok(Answer::DONE)
    }

    /// `log_read`: at most 1 KiB a call. Errors: `BadAddress`.
    pub fn log_read(&self, cx: &Context) -> Result<Answer> {
        let mut part = [0; CHUNK];
        let capacity = usize::try_from(cx.arg(3)).unwrap_or(CHUNK).min(CHUNK);
        let (length, position) = self.log_copy(cx.arg(1), part.get_mut(..capacity).unwrap_or(&mut []));
        self.user_write(cx.process, cx.arg(2), part.get(..length).unwrap_or(&part))?;
        Ok(Answer::Values([length as u64, position, 0, 0]))
    }

    /// `system_info`. As many whole words as there is room for; a fault report only whole. Errors: `BadArgument` (no such
    /// `what`, no room for a report), `NotFound` (no further report), `BadAddress`.
    pub fn system_info(&self, cx: &Context) -> Result<Answer> {
        let room = usize::try_from(cx.arg(3) / 8).unwrap_or(usize::MAX);
        let write = |words: &[u64]| {
            let words = words.get(..room).unwrap_or(words);
            self.user_write_words(cx.process, cx.arg(2), words)?;
            Ok(Answer::one((words.len() as u64).saturating_mul(8)))
        };
        match cx.arg(1) {
            0 => {
                // The words in use: the command line is as long as it says.
                let line = self.boot_words.get(abi::boot::BootWord::CommandLineLength as usize).map_or(0, |w| w.get());
                let used = (line.div_ceil(8) as usize).saturating_add(abi::boot::BootWord::CommandLine as usize);
                let words: [u64; crate::kernel::BOOT_WORDS] =
                    core::array::from_fn(|i| self.boot_words.get(i).map_or(0, |w| w.get()));
                write(words.get(..used).unwrap_or(&words))
            }
            1 => write(&self.counters()),
            2 if room < REPORT_WORDS => Err(Error::BadArgument),
            2 => {
                let answer = write(&self.report_oldest()?)?;
                self.report_taken();
                Ok(answer)
            }
            _ => Err(Error::BadArgument),
        }
    }

    fn counters(&self) -> [u64; COUNTERS] {
        let mut counters = [0; COUNTERS];
        let mut set = |which: Counter, value: u64| {
            if let Some(place) = counters.get_mut(which as usize) {
                *place = value;
            }
        };
        set(Counter::FreeFrames, u64::from(self.frames.free()));
        set(Counter::TotalFrames, u64::from(self.frames.total()));
        self.time_charge();
        set(Counter::IdleNs, self.cpus.iter().fold(0u64, |ns, cpu| ns.saturating_add(cpu.idle_ns.get())));
        self.machine.counters(&mut counters);
        counters
    }

    /// `system_watch`. Another watch replaces the one before. Errors: `BadHandle`, `WrongKind`, `NoRight`, `BadArgument`
    /// (no bits).
    pub fn system_watch(&self, cx: &Context) -> Result<Answer> {
        let to = self.resolve_bits(cx, cx.arg(1), cx.arg(2))?;
        self.log.watch_bits.set(cx.arg(2));
        self.refer(&self.log.watch, Some(to));
        Ok(Answer::DONE)
    }

    /// `system_control`. Errors: `BadArgument`.
    pub fn system_control(&mut self, cx: &Context) -> Result<Answer> {
        match (cx.arg(1), cx.arg(2)) {
            (0, 0) => self.machine.stop(Stop::PowerOff),
            (0, 1) => self.machine.stop(Stop::Reboot),
            (0, status) => self.machine.stop(Stop::Exit(u32::try_from(status).map_err(|_| Error::BadArgument)?)),
            (1, _) => self.machine.console_release(),
            _ => return Err(Error::BadArgument),
        }
        Ok(Answer::DONE)
    }
}
