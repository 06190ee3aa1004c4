//! The clock that leadership is measured with.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts on while the machine sleeps; where there is none such, the monotonic clock has to do.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The time since the machine was started: nobody can set it, and it counts on while the process is stopped.
pub fn since_boot() -> Duration {
    let time = clock_gettime(CLOCK);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let before = since_boot();
        std::thread::sleep(Duration::from_millis(2));
        let passed = since_boot() - before;
        assert!(passed >= Duration::from_millis(2) && passed < Duration::from_secs(60), "{passed:?}");
    }
}
