//! A made-up pump station, minute by minute: what a gateway would record from six sensors.
//!
//! The load follows the hours of the day and the week, and jumps when another pump goes on or off; current,
//! flow and pressure follow it at once, the bearing temperature with a lag of half an hour, on top of the
//! weather. Wear makes it run hotter and shake more, a filter clogs and is cleaned. So the temperature in a
//! quarter of an hour can be foreseen from the other channels, which is what the demo's network learns.

use crate::train::init::Rng;
use std::f32::consts::TAU;
use std::fmt::Write;

/// Column names, in order.
pub const COLUMNS: [&str; 6] = [
    "load",
    "current",
    "flow",
    "pressure",
    "vibration",
    "temperature",
];

/// Minutes of a day.
const DAY: f32 = 1440.0;
/// Minutes in which the bearing covers 63 % of the way to its final temperature.
const LAG: f32 = 30.0;

/// CSV text of `rows` minutes.
pub fn csv(rows: usize, seed: u64) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for sample in Pump::new(seed).take(rows) {
        let fields = sample.map(|x| format!("{x:.3}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

struct Pump {
    rng: Rng,
    minute: f32,
    /// Set point of the load and the load itself, in percent.
    wanted: f32,
    load: f32,
    /// Bearing temperature in °C.
    temperature: f32,
    /// Slow deviation of the weather from its mean, in °C.
    weather: f32,
    /// Share of the filter that is clogged.
    clogged: f32,
}

impl Pump {
    fn new(seed: u64) -> Self {
        let rng = Rng::new(seed);
        let temperature = 45.0;
        Pump {
            rng,
            minute: 0.0,
            wanted: 60.0,
            load: 60.0,
            temperature,
            weather: 0.0,
            clogged: 0.0,
        }
    }

    fn noise(&mut self, spread: f32) -> f32 {
        self.rng.normal() * spread
    }
}

impl Iterator for Pump {
    type Item = [f32; 6];

    fn next(&mut self) -> Option<[f32; 6]> {
        let day = self.minute / DAY;
        let weekend = day % 7.0 >= 5.0;
        let demand = 55.0 - 20.0 * (TAU * (day - 0.15)).cos() - if weekend { 12.0 } else { 0.0 };
        // About every three quarters of an hour somebody switches something.
        if self.rng.uniform() < 1.0 / 45.0 {
            self.wanted = (demand + self.noise(18.0)).clamp(15.0, 100.0);
        }
        self.load += 0.35 * (self.wanted - self.load) + self.noise(0.4);

        self.clogged = if self.clogged > 0.3 {
            0.0
        } else {
            self.clogged + 0.3 / (4.0 * DAY)
        };
        let wear = (day / 60.0).min(1.0);
        self.weather += -0.0005 * self.weather + self.noise(0.04);
        let ambient = 18.0 + 5.0 * (TAU * (day - 0.4)).sin() + self.weather;

        let speed = self.load / 100.0;
        let current = 4.0 + 22.0 * speed.powf(1.3) * (1.0 + 0.5 * self.clogged) + self.noise(0.15);
        let flow = 120.0 * speed * (1.0 - self.clogged) + self.noise(0.8);
        let pressure = 2.0 + 5.5 * speed * speed * (1.0 - 0.5 * self.clogged) + self.noise(0.04);
        // The rotor's resonance lies at 72 % load.
        let resonance = 2.5 * (-((self.load - 72.0) / 6.0).powi(2)).exp();
        let vibration =
            1.0 + 1.5 * speed + resonance * (1.0 + wear) + wear + self.noise(0.12).abs();

        let heat = 0.075 * current * current * (1.0 + 0.3 * wear) + 1.2 * vibration;
        self.temperature += (ambient + heat - self.temperature) / LAG;
        let temperature = self.temperature + self.noise(0.08);
        self.minute += 1.0;
        Some([self.load, current, flow, pressure, vibration, temperature])
    }
}
