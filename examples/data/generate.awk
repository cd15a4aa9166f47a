# Writes station-log.txt: three-hourly observations of an invented weather station over one year.
# Every figure comes from the formulas below and a small linear congruential generator with a fixed
# seed, so that the same file comes out on every machine:  awk -f generate.awk > station-log.txt
function noise() {
    state = (state * 1103 + 12345) % 65536
    return state / 65536 - 0.5
}
function pick(words, at,    list, count) {
    count = split(words, list, " ")
    return list[int(at) % count + 1]
}
BEGIN {
    state = 2025
    pi = 3.141592653589793
    split("31 28 31 30 31 30 31 31 30 31 30 31", month_days, " ")
    hour_of_year = 0
    for (month = 1; month <= 12; month++)
        for (day = 1; day <= month_days[month]; day++)
            for (hour = 0; hour < 24; hour += 3) {
                year_angle = 2 * pi * (hour_of_year / 24 - 20) / 365
                day_angle = 2 * pi * (hour - 4) / 24
                temperature = 12 - 13 * cos(year_angle) - 4 * cos(day_angle) + 6 * noise()
                load = 620 + 0.55 * (temperature - 17) ^ 2 - 140 * cos(day_angle) + 40 * noise()
                wet = noise() + 0.12 * cos(year_angle)
                sky = wet > 0.38 ? (temperature < 1 ? "snow" : "rain") : wet > 0.1 ? "cloudy" : wet > -0.1 ? "hazy" : "clear"
                feel = temperature < 0 ? "freezing" : temperature < 8 ? "cold" : temperature < 17 ? "mild" : temperature < 25 ? "warm" : "hot"
                wind = pick("north north-east east south-east south south-west west north-west", 8 * (noise() + 0.5))
                printf "2025-%02d-%02d %02d:00 %s %s wind %s %.1f degrees load %d MW\n", month, day, hour, feel, sky, wind, temperature, load
                hour_of_year += 3
            }
}
