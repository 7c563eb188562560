//! What the kernel gives init: the capabilities everything else is derived
//! from, and facts of the machine.

use abi::boot::{BootWord, InitHandle};
use abi::{Handle, Result};
use alloc::format;
use alloc::string::String;
use scheme::rt::calls;

/// The machine as the kernel tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// ACPI's root pointer, or 0.
    pub rsdp: u64,
    /// Physical address, stride, width, height, format; address 0: none.
    pub framebuffer: [u64; 5],
    /// Bytes in initfs.
    pub initfs_length: u64,
    /// Whether CPUID tells of a hypervisor.
    pub hypervisor: bool,
    /// The kernel's options.
    pub command_line: String,
    /// Seconds from 1970 to the boot; `None` where no clock tells.
    pub boot_time: Option<u64>,
}

impl Machine {
    /// Asks the kernel. Errors: the kernel's.
    pub fn read() -> Result<Machine> {
        let mut words = [0u64; 8 + abi::boot::COMMAND_LINE / 8];
        calls::system_info(InitHandle::System.handle(), 0, &mut words)?;
        let now = crate::rtc::seconds()?;
        let up = scheme::time::now_ns() / scheme::time::SECOND;
        Ok(Machine { boot_time: now.map(|now| now.saturating_sub(up)), ..Machine::from_words(&words) })
    }

    /// The facts in the words of `system_info` 0.
    pub fn from_words(words: &[u64]) -> Machine {
        let at = |word: BootWord| words.get(word as usize).copied().unwrap_or(0);
        let low = |word: BootWord| at(word) & 0xffff_ffff;
        let line: alloc::vec::Vec<u8> = words
            .iter()
            .skip(BootWord::CommandLine as usize)
            .flat_map(|word| word.to_le_bytes())
            .take(usize::try_from(at(BootWord::CommandLineLength)).unwrap_or(0))
            .collect();
        Machine {
            rsdp: at(BootWord::Rsdp),
            framebuffer: [
                at(BootWord::FramebufferAddress),
                low(BootWord::FramebufferStrideWidth),
                at(BootWord::FramebufferStrideWidth) >> 32,
                low(BootWord::FramebufferHeightFormat),
                at(BootWord::FramebufferHeightFormat) >> 32,
            ],
            initfs_length: at(BootWord::InitfsLength),
            hypervisor: at(BootWord::Firmware) & 0x100 != 0,
            command_line: String::from_utf8_lossy(&line).into_owned(),
            boot_time: None,
        }
    }

    /// Replaces `{rsdp}` and `{framebuffer}` in an argument.
    pub fn fill(&self, argument: &str) -> String {
        let [address, stride, width, height, format] = self.framebuffer;
        argument
            .replace("{rsdp}", &format!("{}", self.rsdp))
            .replace("{framebuffer}", &format!("{address},{stride},{width},{height},{format}"))
    }

    /// Bytes from the framebuffer's first pixel to its last; 0 where there is none.
    pub fn framebuffer_length(&self) -> u64 {
        let [address, stride, _, height, _] = self.framebuffer;
        if address == 0 {
            0
        } else {
            stride.saturating_mul(height)
        }
    }
}

/// Shorthand for a root handle.
pub fn root(handle: InitHandle) -> Handle {
    handle.handle()
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn words_become_facts_and_fill_arguments() {
        let mut words = vec![0xf_0000, 0xfd00_0000, 5120 | (1280 << 32), 800 | (1 << 32), 4096, 0x101, 9, 4];
        words.push(u64::from_le_bytes(*b"quiet x="));
        words.push(u64::from(b'1'));
        let machine = Machine::from_words(&words);
        assert_eq!(machine.command_line, "quiet x=1");
        assert!(machine.hypervisor);
        assert_eq!(machine.fill("fb={framebuffer}"), format!("fb={},5120,1280,800,1", 0xfd00_0000u64));
        assert_eq!(machine.fill("rsdp={rsdp}"), format!("rsdp={}", 0xf_0000));
        assert_eq!(machine.framebuffer_length(), 5120 * 800);
        assert_eq!(Machine::from_words(&[]).framebuffer_length(), 0);
    }
}
