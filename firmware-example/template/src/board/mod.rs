//! A chip is what starts its clocks and gives the bus of the sensors, `start() -> impl I2c`.

#[cfg(feature = "esp32c3")]
mod esp32c3;
#[cfg(feature = "nrf52840")]
mod nrf52840;
#[cfg(any(feature = "rp2040", feature = "rp2350"))]
mod rp;
#[cfg(any(feature = "stm32f4", feature = "stm32h7"))]
mod stm32;

#[cfg(feature = "esp32c3")]
pub use esp32c3::start;
#[cfg(feature = "nrf52840")]
pub use nrf52840::start;
#[cfg(any(feature = "rp2040", feature = "rp2350"))]
pub use rp::start;
#[cfg(any(feature = "stm32f4", feature = "stm32h7"))]
pub use stm32::start;

// Where the log goes, and what a panic does; an ESP32's is its own.
use defmt_rtt as _;
#[cfg(target_arch = "arm")]
use panic_probe as _;
