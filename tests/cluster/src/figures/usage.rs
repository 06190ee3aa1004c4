//! What a process took so far, as the kernel counts it.

use std::fs;
use std::ops::{Add, Div, Sub};
use std::time::Duration;

use crate::plane::ControlPlane;

/// Who takes the processors of the machine while requests are answered.
pub(crate) const SHARERS: [&str; 4] = ["whoever asks", "kube-apiserver", "etcd", "kube-controller-manager"];

/// Processor time by [`SHARERS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares(pub(crate) [Duration; SHARERS.len()]);

impl Shares {
    /// What whoever asks, a process, and the programs of a control plane took so far. Nobody who asks took nothing.
    ///
    /// # Panics
    /// If one of them does not run.
    pub(crate) fn so_far(plane: &ControlPlane, who_asks: Option<u32>) -> Self {
        let pids = plane.pids();
        let of = |name| processor(*pids.get(name).unwrap_or_else(|| panic!("{name} does not run")));
        let [_, programs @ ..] = SHARERS;
        let [api_server, etcd, manager] = programs.map(of);
        Self([who_asks.map(processor).unwrap_or_default(), api_server, etcd, manager])
    }
}

impl Add for Shares {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|who| self.0[who] + other.0[who]))
    }
}

impl Sub for Shares {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|who| self.0[who].saturating_sub(other.0[who])))
    }
}

impl Div<u32> for Shares {
    type Output = Self;

    fn div(self, by: u32) -> Self {
        Self(self.0.map(|time| time / by))
    }
}

/// The processor time of a process and its threads, in user mode and in the kernel.
///
/// # Panics
/// If there is no such process.
pub(crate) fn processor(pid: u32) -> Duration {
    let text = read(pid, "stat");
    ticks(&text).unwrap_or_else(|| panic!("/proc/{pid}/stat: {text}"))
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The most that was resident at any time.
    pub(crate) peak: u64,
    /// What is resident now.
    pub(crate) resident: u64,
}

/// The memory of a process.
///
/// # Panics
/// If there is no such process.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = read(pid, "status");
    memory_of(&text).unwrap_or_else(|| panic!("/proc/{pid}/status: {text}"))
}

fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// proc(5): utime and stime are the fields 14 and 15; the name, field 2, may have anything in it but ends with the last `)`.
fn ticks(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

fn memory_of(status: &str) -> Option<Memory> {
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { peak: of("VmHWM")?, resident: of("VmRSS")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_counted_from_the_end_of_the_name() {
        let per_second = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 {per_second} {} 0 0 20 0 3 0", per_second / 2);
        assert_eq!(ticks(&stat), Some(Duration::from_millis(1500)));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\ta\nVmPeak:\t  99 kB\nVmHWM:\t  20 kB\nVmRSS:\t   8 kB\n";
        assert_eq!(memory_of(status), Some(Memory { peak: 20 * 1024, resident: 8 * 1024 }));
    }

    #[test]
    fn this_process_has_both() {
        let pid = std::process::id();
        assert!(memory(pid).peak >= memory(pid).resident && memory(pid).resident > 0);
        let _ = processor(pid);
    }
}
