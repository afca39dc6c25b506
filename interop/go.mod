// Tests of Baro against other people's clients, servers and browsers.
module baro.dev/interop

go 1.26.0

replace baro.dev => ../
