// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title The yardstick for gas: OpenZeppelin's ERC-20, minted one by one or in a loop over arrays
/// @notice Anybody may mint; it exists to be measured.
contract BatchMint is ERC20("Yardstick", "YARD") {
    function mint(address member, uint256 amount) external {
        _mint(member, amount);
    }

    function mintMany(address[] calldata members, uint256[] calldata amounts) external {
        for (uint256 i; i < members.length; ++i) {
            _mint(members[i], amounts[i]);
        }
    }
}
