//! Waits that differ, so that what waits together does not come together.

use std::time::Duration;

use rand_core::{OsRng, RngCore};

/// Between three quarters and five quarters of a time.
pub fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.75 + share() / 2.0)
}

/// Somewhere between nothing and all of a time.
pub fn spread(time: Duration) -> Duration {
    time.mul_f64(share())
}

fn share() -> f64 {
    f64::from(OsRng.next_u32()) / f64::from(u32::MAX)
}
