// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/interfaces/IERC20Metadata.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {LoyaltyLedger} from "./LoyaltyLedger.sol";
import {LoyaltyOrders} from "./LoyaltyOrders.sol";
import {LoyaltyPartners} from "./LoyaltyPartners.sol";
import {LoyaltyTerms} from "./LoyaltyTerms.sol";

/// @title Mereau loyalty token
/// @notice Loyalty points as an ERC-20 token that moves only by signed orders (see LoyaltyOrders). Not upgradeable.
/// Whether members may also transfer tokens among themselves is fixed at deployment. The submitter of an order has
/// no power over it.
/// @dev Roles stand on separate keys. The default admin changes hands in two steps with a delay.
contract LoyaltyToken is LoyaltyOrders, LoyaltyTerms, Multicall, IERC20Metadata {
    /// @dev Times in seconds. `admin` must not be zero (AccessControlInvalidDefaultAdmin); a role given to the zero
    /// address is held by nobody until the admin grants it.
    struct Config {
        string name;
        string symbol;
        string contractURI;
        uint8 decimals;
        address admin;
        uint48 adminDelay;
        address partnerAdmin;
        address expirer;
        address pauser;
        uint32 noticePeriod;
        uint32 epochLength;
        uint32 capPeriod;
        bool transfersOpen;
    }

    /// @notice May stop every balance change.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint8 private constant UNRESTRICTED = 0;
    uint8 private constant TRANSFERS_CLOSED = 1;
    uint8 private constant PAUSED = 2;
    uint8 private constant ZERO_ADDRESS = 3;
    uint8 private constant BALANCE_TOO_LOW = 4;

    /// @notice Decimal places for display; amounts are whole tokens whatever it says.
    uint8 public immutable decimals;

    /// @notice Whether members may transfer and approve; fixed for the contract's life.
    bool public immutable transfersOpen;

    /// @notice Token name (ERC-20).
    string public name;

    /// @notice Token symbol (ERC-20).
    string public symbol;

    /// @notice Address of the contract's metadata document (ERC-7572).
    string public contractURI;

    mapping(address owner => mapping(address spender => uint256)) private _allowances;

    /// @notice Fixes the token's rules and hands out its roles.
    /// Reverts with LoyaltyPeriod(least, given) for an epoch below ten minutes or a cap period of 0.
    constructor(Config memory config)
        AccessControlDefaultAdminRules(config.adminDelay, config.admin)
        EIP712("Mereau", "1")
        LoyaltyPartners(config.capPeriod)
        LoyaltyLedger(config.epochLength)
        LoyaltyTerms(config.noticePeriod)
    {
        name = config.name;
        symbol = config.symbol;
        contractURI = config.contractURI;
        decimals = config.decimals;
        transfersOpen = config.transfersOpen;
        if (config.partnerAdmin != address(0)) _grantRole(PARTNER_ADMIN_ROLE, config.partnerAdmin);
        if (config.expirer != address(0)) _grantRole(EXPIRER_ROLE, config.expirer);
        if (config.pauser != address(0)) _grantRole(PAUSER_ROLE, config.pauser);
    }

    modifier whenOpen() {
        require(transfersOpen, LoyaltyTransfersClosed());
        _;
    }

    /// @notice Stops every balance change: orders and transfers revert with EnforcedPause. Only a pauser.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Lets balances change again. Only the default admin: whoever stole a pauser's key can stop the
    /// programme, not undo a stop.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// @notice Moves the contract's metadata document (ERC-7572). Only the default admin.
    function setContractURI(string calldata uri) external onlyRole(DEFAULT_ADMIN_ROLE) {
        contractURI = uri;
        emit ContractURIUpdated();
    }

    /// @notice ERC-20 transfer. Reverts with LoyaltyTransfersClosed where members may not transfer.
    function transfer(address to, uint256 value) external whenOpen whenNotPaused returns (bool) {
        _move(_msgSender(), to, value);
        return true;
    }

    /// @notice ERC-20 approve; the largest value stands for an allowance that is never used up.
    function approve(address spender, uint256 value) external whenOpen returns (bool) {
        require(spender != address(0), ERC20InvalidSpender(address(0)));
        _allowances[_msgSender()][spender] = value;
        emit Approval(_msgSender(), spender, value);
        return true;
    }

    /// @notice ERC-20 transferFrom. Reverts with LoyaltyTransfersClosed where members may not transfer.
    function transferFrom(address from, address to, uint256 value)
        external
        whenOpen
        whenNotPaused
        returns (bool)
    {
        uint256 allowed = _allowances[from][_msgSender()];
        if (allowed != type(uint256).max) {
            require(value <= allowed, ERC20InsufficientAllowance(_msgSender(), allowed, value));
            unchecked {
                _allowances[from][_msgSender()] = allowed - value;
            }
        }
        _move(from, to, value);
        return true;
    }

    /// @notice What `spender` may still transfer for `owner_` (ERC-20).
    function allowance(address owner_, address spender) external view returns (uint256) {
        return _allowances[owner_][spender];
    }

    /// @notice Why a transfer would fail (ERC-1404): 0 it would not, 1 transfers are closed, 2 paused, 3 a zero
    /// address, 4 the balance is too low.
    function detectTransferRestriction(address from, address to, uint256 value) external view returns (uint8) {
        if (!transfersOpen) return TRANSFERS_CLOSED;
        if (paused()) return PAUSED;
        if (from == address(0) || to == address(0)) return ZERO_ADDRESS;
        if (value > balanceOf(from)) return BALANCE_TOO_LOW;
        return UNRESTRICTED;
    }

    /// @notice The restriction code in words (ERC-1404).
    function messageForTransferRestriction(uint8 code) external pure returns (string memory) {
        if (code == UNRESTRICTED) return "No restriction";
        if (code == TRANSFERS_CLOSED) return "Tokens are not transferable between members";
        if (code == PAUSED) return "The token is paused";
        if (code == ZERO_ADDRESS) return "The zero address cannot hold tokens";
        if (code == BALANCE_TOO_LOW) return "The balance is too low";
        return "Unknown restriction code";
    }
}
