//! Contenders for one piece of work, run in turns, and their medians.

use std::time::Duration;

use anyhow::Result;

use super::process::{Call, Cost};

/// Makes ready for a turn, which is not measured, and gives the processes that it takes.
type Prepare<'a> = Box<dyn Fn(usize) -> Result<Vec<Call>> + 'a>;

/// Somebody who does the work.
pub struct Contender<'a> {
    name: &'static str,
    prepare: Prepare<'a>,
    scale: u32,
}

impl<'a> Contender<'a> {
    /// A contender who takes the same process in each turn.
    pub fn new(name: &'static str, call: Call) -> Self {
        Self::in_a_loop(name, vec![call], 1)
    }

    /// A contender who takes one process after the other, `scale` times as many as these.
    pub fn in_a_loop(name: &'static str, calls: Vec<Call>, scale: u32) -> Self {
        Self { name, prepare: Box::new(move |_| Ok(calls.clone())), scale }
    }

    /// A contender for whom something is made ready before each turn, given by its number.
    pub fn prepared(name: &'static str, prepare: impl Fn(usize) -> Result<Call> + 'a) -> Self {
        Self { name, prepare: Box::new(move |turn| Ok(vec![prepare(turn)?])), scale: 1 }
    }

    fn turn(&self, turn: usize) -> Result<Cost> {
        let mut sum = Cost::default();
        for call in (self.prepare)(turn)? {
            let cost = call.run()?;
            sum.wall += cost.wall;
            sum.cpu += cost.cpu;
        }
        Ok(Cost { wall: sum.wall * self.scale, cpu: sum.cpu * self.scale })
    }
}

/// What the turns of one contender took, for the whole work.
#[derive(Clone, Debug)]
pub struct Times {
    /// How the report calls the contender.
    pub name: &'static str,
    /// Wall time, sorted.
    pub wall: Vec<Duration>,
    /// Processor time, sorted.
    pub cpu: Vec<Duration>,
}

impl Times {
    /// The median of the wall times.
    pub fn wall(&self) -> Duration {
        median(&self.wall)
    }

    /// The median of the processor times.
    pub fn cpu(&self) -> Duration {
        median(&self.cpu)
    }
}

/// Lets all contenders take turns: a first one each that does not count, then `turns`.
///
/// Turns go round, so that a slow spell of the machine meets everybody.
pub fn contest(contenders: &[Contender<'_>], turns: usize) -> Result<Vec<Times>> {
    let mut times: Vec<Times> =
        contenders.iter().map(|contender| Times { name: contender.name, wall: vec![], cpu: vec![] }).collect();
    for turn in 0..=turns {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let cost = contender.turn(turn)?;
            if turn > 0 {
                times.wall.push(cost.wall);
                times.cpu.push(cost.cpu);
            }
        }
    }
    for times in &mut times {
        times.wall.sort();
        times.cpu.sort();
    }
    Ok(times)
}

/// The middle one of sorted times.
pub fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// How many times `small` goes into `large`.
pub fn ratio(large: Duration, small: Duration) -> f64 {
    large.as_secs_f64() / small.as_secs_f64()
}
