//! RP2040 and RP2350, a Raspberry Pi Pico or Pico 2: SDA is GP4, SCL is GP5.

use embassy_rp::i2c::{Async, Config, I2c, InterruptHandler};
use embassy_rp::{bind_interrupts, peripherals::I2C0};

bind_interrupts!(struct Interrupts {
    I2C0_IRQ => InterruptHandler<I2C0>;
});

pub fn start() -> I2c<'static, I2C0, Async> {
    let p = embassy_rp::init(Default::default());
    I2c::new_async(p.I2C0, p.PIN_5, p.PIN_4, Interrupts, Config::default())
}
