// Floating point: printing, reading, mathematics, rounding, and the x87.
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const double values[] = {0.1, 1.0 / 3, 1e300 * 1e10, -0.0, 2.5e-310, 123456789.123456789, 6.02214076e23};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        printf("%g %.17g %a %f %.3e\n", values[i], values[i], values[i], values[i], values[i]);
    printf("%Lg %.20Lf\n", 1.0L / 3, 1.0L / 3);
    printf("%.17g %.17g %.17g\n", strtod("0.1", NULL), strtod("1e-320", NULL), strtod("0x1.8p3", NULL));
    printf("%.15g %.15g %.15g %.15g\n", sin(1), exp(1), pow(2, 0.5), log(10));
    const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        volatile double a = 1, b = 3;
        printf("%.17g %ld\n", a / b, lrint(2.5));
    }
    fesetround(FE_TONEAREST);
    double sum = 0;
    for (int i = 1; i <= 1000000; i++) sum += 1.0 / i;
    printf("%.12f\n", sum);
    return 0;
}
