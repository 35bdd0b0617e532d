//! nRF52840, a development kit: SDA is P0.26, SCL is P0.27.

use embassy_nrf::twim::{Config, InterruptHandler, Twim};
use embassy_nrf::{bind_interrupts, peripherals::TWISPI0};

bind_interrupts!(struct Interrupts {
    TWISPI0 => InterruptHandler<TWISPI0>;
});

pub fn start() -> Twim<'static> {
    let p = embassy_nrf::init(Default::default());
    // Its DMA cannot read flash: what is sent goes through this.
    let sent = cortex_m::singleton!(: [u8; 4] = [0; 4]).expect("taken once");
    Twim::new(
        p.TWISPI0,
        Interrupts,
        p.P0_26,
        p.P0_27,
        Config::default(),
        sent,
    )
}
