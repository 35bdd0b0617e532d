//! Six analogue sensors on an ADS7828, an I2C converter of eight channels and 12 bits. Yours goes here: what the network
//! needs is a number for each of its inputs, in their order and in the units that it was trained on.

use embedded_hal_async::i2c::I2c;

const ADDRESS: u8 = 0x48;
const FULL_SCALE: f32 = 4095.0;

/// What a channel reads at zero and at full scale: load in %, current in A, flow in m³/h, pressure in bar, vibration in
/// mm/s and temperature in °C.
const RANGES: [(f32, f32); 6] = [
    (0.0, 100.0),
    (0.0, 40.0),
    (0.0, 150.0),
    (0.0, 10.0),
    (0.0, 20.0),
    (-20.0, 120.0),
];

/// The sensors of a pump.
pub struct Sensors<B> {
    bus: B,
}

impl<B: I2c> Sensors<B> {
    pub fn new(bus: B) -> Self {
        Sensors { bus }
    }

    /// A sample: one conversion of every channel.
    pub async fn read(&mut self) -> Result<[f32; 6], B::Error> {
        let mut sample = [0.0; 6];
        for ((channel, value), (zero, full)) in (0..).zip(&mut sample).zip(RANGES) {
            let mut bytes = [0; 2];
            self.bus
                .write_read(ADDRESS, &[command(channel)], &mut bytes)
                .await?;
            *value = zero + (full - zero) * f32::from(u16::from_be_bytes(bytes)) / FULL_SCALE;
        }
        Ok(sample)
    }
}

/// Converts one channel against ground, reference and converter on. The channel's lowest bit comes first.
const fn command(channel: u8) -> u8 {
    0x8c | (channel & 1) << 6 | (channel >> 1) << 4
}
