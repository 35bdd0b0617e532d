//! STM32F411 (a "black pill") and STM32H743 (a Nucleo): SCL is PB8, SDA is PB9. Another chip of these families is another
//! feature of embassy-stm32 in Cargo.toml, and its DMA channels here. Clocks are those after reset.

use embassy_stm32::i2c::{Config, ErrorInterruptHandler, EventInterruptHandler, I2c, Master};
use embassy_stm32::mode::Async;
use embassy_stm32::{bind_interrupts, dma, peripherals};

#[cfg(feature = "stm32f4")]
bind_interrupts!(struct Interrupts {
    I2C1_EV => EventInterruptHandler<peripherals::I2C1>;
    I2C1_ER => ErrorInterruptHandler<peripherals::I2C1>;
    DMA1_STREAM6 => dma::InterruptHandler<peripherals::DMA1_CH6>;
    DMA1_STREAM0 => dma::InterruptHandler<peripherals::DMA1_CH0>;
});

#[cfg(feature = "stm32h7")]
bind_interrupts!(struct Interrupts {
    I2C1_EV => EventInterruptHandler<peripherals::I2C1>;
    I2C1_ER => ErrorInterruptHandler<peripherals::I2C1>;
    DMA1_STREAM4 => dma::InterruptHandler<peripherals::DMA1_CH4>;
    DMA1_STREAM5 => dma::InterruptHandler<peripherals::DMA1_CH5>;
});

pub fn start() -> I2c<'static, Async, Master> {
    let p = embassy_stm32::init(Default::default());
    #[cfg(feature = "stm32f4")]
    let (to, from) = (p.DMA1_CH6, p.DMA1_CH0);
    #[cfg(feature = "stm32h7")]
    let (to, from) = (p.DMA1_CH4, p.DMA1_CH5);
    I2c::new(
        p.I2C1,
        p.PB8,
        p.PB9,
        to,
        from,
        Interrupts,
        Config::default(),
    )
}
