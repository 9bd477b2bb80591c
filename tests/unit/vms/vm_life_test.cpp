// The life of a request VM, as a table.
#include "src/vms/vm_life.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace tinykvm::host {
namespace {

TEST(VmLifeTest, OnlyTheTransitionsOfThePicture) {
    using enum VmState;
    const VmState all[] = {building, idle,         idle_soft, reserved,  reserved_soft,
                           running,  running_here, answered,  resetting, withdrawn};
    const std::pair<VmState, VmState> allowed[] = {
        {building, idle},           {building, withdrawn},     {idle, reserved},           {idle, withdrawn},
        {idle_soft, reserved_soft}, {idle_soft, withdrawn},    {reserved, running},        {reserved, running_here},
        {reserved, resetting},      {reserved_soft, reserved}, {reserved_soft, resetting}, {running, answered},
        {running, reserved},        {running_here, answered},  {running_here, reserved},   {answered, running},
        {answered, running_here},   {answered, resetting},     {resetting, idle},          {resetting, idle_soft},
        {resetting, withdrawn},
    };
    for (const VmState from : all) {
        for (const VmState to : all) {
            const bool expected =
                std::find(std::begin(allowed), std::end(allowed), std::pair(from, to)) != std::end(allowed);
            EXPECT_EQ(may_follow(from, to), expected) << to_string(from) << " to " << to_string(to);
        }
    }
}

TEST(VmLifeTest, AnyOtherStepEndsTheProcess) {
    using enum VmState;
    VmLife life;
    EXPECT_FALSE(life.is_idle());
    EXPECT_DEATH(life.move_to(running), "cannot go from building to running");
    life.move_to(idle);
    EXPECT_TRUE(life.is_idle());
    life.move_to(reserved);
    EXPECT_DEATH(life.move_to(reserved), "cannot go from reserved to reserved");  // it is handed out once
    life.move_to(running_here);
    EXPECT_TRUE(life.is_running());
}

}  // namespace
}  // namespace tinykvm::host
