//! Once a minute: the sensors are read, the network steps, the forecast goes to the log.
#![no_std]
#![no_main]

mod board;
mod sensor;

use defmt::{info, warn};
use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Ticker};
use kinglet::{Embedded, Net, State, include_model, state_len};
use sensor::Sensors;

/// From one row of the training data to the next.
const PERIOD: Duration = Duration::from_secs(60);

struct Pump;

impl Embedded for Pump {
    const FILE: &'static [u8] = include_model!("../model/pump.kgl");
    type State = State<{ state_len(Self::FILE) }>;
}

#[cfg_attr(target_arch = "arm", embassy_executor::main)]
#[cfg_attr(target_arch = "riscv32", esp_rtos::main)]
async fn main(_spawner: Spawner) {
    let mut sensors = Sensors::new(board::start());
    let mut net = Net::<Pump>::new();
    let mut forecast = [0.0];
    let mut ticker = Ticker::every(PERIOD);
    loop {
        match sensors.read().await {
            Ok(sample) => {
                let before = Instant::now();
                net.step(&sample, &mut forecast);
                let took = before.elapsed().as_micros();
                info!(
                    "{=f32} °C in 15 minutes, a step of {=u64} µs",
                    forecast[0], took
                );
            }
            // The state stays as it was.
            Err(_) => warn!("no answer from the sensors"),
        }
        ticker.next().await;
    }
}
