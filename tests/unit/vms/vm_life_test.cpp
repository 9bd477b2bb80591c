// The life of a request VM, as a table.
#include "src/vms/vm_life.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace tinykvm::host {
namespace {

TEST(VmLifeTest, OnlyTheTransitionsOfThePicture) {
    using enum VmState;
    const VmState all[] = {building, idle, reserved, running, answered, resetting, withdrawn};
    const std::pair<VmState, VmState> allowed[] = {
        {building, idle},    {building, withdrawn},  {idle, reserved},    {idle, withdrawn},
        {reserved, running}, {reserved, resetting},  {running, answered}, {answered, resetting},
        {resetting, idle},   {resetting, withdrawn}, {running, reserved}, {answered, running},
    };
    for (const VmState from : all) {
        for (const VmState to : all) {
            const bool expected =
                std::find(std::begin(allowed), std::end(allowed), std::pair(from, to)) != std::end(allowed);
            EXPECT_EQ(may_follow(from, to), expected) << to_string(from) << " to " << to_string(to);
        }
    }
    VmLife life;
    EXPECT_DEATH(life.move_to(running), "cannot go from building to running");
}

}  // namespace
}  // namespace tinykvm::host
