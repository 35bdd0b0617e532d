//! ESP32-C3: SDA is GPIO6, SCL is GPIO7. The debug probe is the chip's own, by USB.

use esp_hal::Async;
use esp_hal::i2c::master::{Config, I2c};
use esp_hal::timer::timg::TimerGroup;

esp_bootloader_esp_idf::esp_app_desc!();

pub fn start() -> I2c<'static, Async> {
    let p = esp_hal::init(esp_hal::Config::default());
    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);
    let bus = I2c::new(p.I2C0, Config::default()).expect("the default is one that can be had");
    bus.with_sda(p.GPIO6).with_scl(p.GPIO7).into_async()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    loop {}
}
